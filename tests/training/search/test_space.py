from __future__ import annotations

import pytest

from headset.core.errors import InvalidInput, NotFound
from headset.training.recipe import SHIPPED, Recipe
from headset.training.search.space import read_space, read_space_text, shipped_space


def test_what_varies_is_drawn_and_the_rest_stays():
    space = read_space_text("words = [[1, 3]]\npenalty = {low = 0.1, high = 2.0}", "a file")
    assert list(space.distributions()) == ["penalty"]
    assert space.recipe({"penalty": 0.5}) == Recipe(words=(1, 3), penalty=0.5)


def test_the_usual_space_holds_the_shipped_recipe():
    space = shipped_space(("static",))
    space.check(("static",))
    assert space.recipe(space.drawn(SHIPPED)) == SHIPPED
    assert "encoder" not in space.distributions()
    assert "encoder" in shipped_space(("static", "minilm")).distributions()


def test_a_recipe_outside_the_space_is_drawn_by_no_values():
    assert read_space_text("penalty = {low = 1, high = 2}", "a file").drawn(SHIPPED) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("penalty = ", "is no search space"),
        ("penality = {low = 1, high = 2}", "unknown field `penality`"),
        ("penalty = {low = 2, high = 2}", "goes from 2 to 2, which is empty"),
        ("penalty = {low = 0, high = 2}", "start above 0"),
        ("penalty = {low = 1, high = 1e9}", "reaches 1e"),
        ("penalty = {low = nan, high = 1}", "goes from nan"),
        ("words = []", "is no search space"),
        ("words = [[2, 1]]", "space.words: 2-1 is no choice"),
        ("words = [[1, 1], [1, 1]]", "names a choice twice"),
        ('encoder = ["static", "huge"]', "'huge' is not installed; there are: static"),
        ("words = [[1, 2]]", "leaves nothing to vary"),
        ("", "leaves nothing to vary"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(text, problem):
    with pytest.raises(InvalidInput) as refusal:
        read_space_text(text, "a file").check(("static",))
    assert problem in str(refusal.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NotFound, match="not there"):
        read_space(tmp_path / "space.toml")
