from __future__ import annotations

import pytest

from headset.core.errors import InvalidInput
from headset.events.door import TEXT_LIMIT, WITHHELD, Door
from headset.events.vault import Vault


@pytest.fixture
def vault(tmp_path):
    vault = Vault(tmp_path / "vault.db", bytes(32))
    yield vault
    vault.close()


def test_text_comes_in_redacted_and_sealed(vault):
    admitted = Door(vault).admit("ana", "my card 4111 1111 1111 1111 was declined")
    assert admitted.text == "my card [card] was declined"
    assert admitted.redactions == {"card": 1}
    assert vault.open("ana", admitted.sealed) == admitted.text


@pytest.mark.parametrize("failure", [ValueError("bug"), RecursionError(), MemoryError()])
def test_text_is_withheld_when_redaction_breaks(vault, failure):
    def broken(_):
        raise failure

    admitted = Door(vault, broken).admit("ana", "my card 4111 1111 1111 1111")
    assert admitted.text == vault.open("ana", admitted.sealed) == WITHHELD
    assert admitted.redactions == {"withheld": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        (" \n\t\u3000", "is empty"),
        ("x" * (TEXT_LIMIT + 1), f"the limit is {TEXT_LIMIT}"),
        ("a\x00b", "NUL byte at position 1"),
        ("a\ud800b", "at position 1"),
    ],
)
def test_what_no_person_types_is_refused_by_the_name_of_its_field(vault, text, problem):
    with pytest.raises(InvalidInput, match=problem) as caught:
        Door(vault).admit("ana", text, field="turn.text")
    assert caught.value.field == "turn.text"


def test_the_longest_text_comes_in(vault):
    text = "é" * TEXT_LIMIT
    assert Door(vault).admit("ana", text).text == text
