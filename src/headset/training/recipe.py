"""What a training is asked for: with equal data and code, an equal request makes an equal artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from headset.core.config import ModelName
from headset.core.errors import InvalidInput, NotFound
from headset.training.recording import check_seed

if TYPE_CHECKING:
    from pathlib import Path

Grams = tuple[Annotated[int, Meta(ge=1, le=8)], Annotated[int, Meta(ge=1, le=8)]]


class Recipe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an intent model is made: what a search may vary.

    Attributes:
        words: Shortest and longest runs of words that count as features.
        characters: The same of characters.
        embedding_weight: Length of the embedding beside the unit-length n-gram blocks.
        penalty: ``C`` of the support vector machines.
        encoder: Of the embedding: ``static`` comes with Headset; others are extras.
        row_limit: Rows it is fitted to, at most. Of more, those that differ most are taken (see docs/training.md).
        learner: ``MODULE:FACTORY`` of a user's own estimator; empty for the built-in model.

    >>> read_recipe_text('penalty = 0.5', "tuned.toml").penalty
    0.5
    """

    words: Grams = (1, 2)
    characters: Grams = (3, 4)
    embedding_weight: Annotated[float, Meta(ge=0, le=100)] = 2.24
    penalty: Annotated[float, Meta(gt=0, le=10_000)] = 0.3
    encoder: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,31}\Z")] = "static"
    row_limit: Annotated[int, Meta(ge=1_000, le=10_000_000)] = 30_000
    learner: Annotated[str, Meta(pattern=r"\A([A-Za-z_][\w.]*:[A-Za-z_]\w*)?\Z")] = ""

    def __post_init__(self) -> None:
        for name, (shortest, longest) in (("words", self.words), ("characters", self.characters)):
            if shortest > longest:
                raise InvalidInput(name, f"goes from {shortest} to {longest}; the first number is the smaller one")


SHIPPED = Recipe()

MODEL = "intent"
"""The model that decides wherever nothing else is said."""


class IntentRequest(Struct, frozen=True, kw_only=True, tag="intent", tag_field="model"):
    """All that is asked for when an intent model is trained.

    Attributes:
        name: The model it becomes a version of; a second one may decide in some queues.
        dataset: Name of the data to learn from.
        test: Name of the data to measure on; None holds some rows out, and fits again on all once measured.
        synthetic: Name of synthetic texts to learn from as well; never measured on.
        seed: Decides the split, the folds and the solver.
        target_precision: Share of texts above the abstention threshold whose intent should be right.
        recipe: How the model is made.
    """

    name: ModelName = MODEL
    dataset: str
    test: str | None = None
    synthetic: str | None = None
    seed: int = 0
    target_precision: float = 0.95
    recipe: Recipe = SHIPPED

    def check(self) -> None:
        """Refuse settings that no training can follow.

        Raises:
            InvalidInput: the name is none, or the seed or the precision is out of range.
        """
        try:
            msgspec.convert(self.name, ModelName)
        except msgspec.ValidationError:
            raise InvalidInput(
                "as", f"{self.name!r} is no name of a model; take a to z, 0 to 9, _ and -, at most 64, a letter first"
            ) from None
        check_seed(self.seed)
        if not 0 < self.target_precision < 1:
            raise InvalidInput(
                "precision",
                f"is {self.target_precision}; it lies between 0 and 1, for example 0.95 for 5 errors in 100",
            )


class RiskRequest(Struct, frozen=True, kw_only=True, tag="risk", tag_field="model"):
    """All that is asked for when a risk model is trained.

    Attributes:
        dataset: Name of the data to learn from; None for all conversations in the log whose end is known.
        seed: Decides folds and draws.
        handoffs: Share of conversations that may reach the threshold.
    """

    dataset: str | None = None
    seed: int = 0
    handoffs: float = 0.1

    def check(self) -> None:
        """Refuse settings that no training can follow.

        Raises:
            InvalidInput: the seed or the share is out of range.
        """
        check_seed(self.seed)
        if not 0 < self.handoffs < 1:
            raise InvalidInput(
                "handoffs", f"is {self.handoffs}; it lies between 0 and 1, for example 0.1 for one in ten"
            )


_REQUEST: msgspec.json.Decoder[IntentRequest | RiskRequest] = msgspec.json.Decoder(IntentRequest | RiskRequest)


def read_request(text: str, name: str) -> IntentRequest | RiskRequest:
    """What was asked for, as a registered version keeps it; ``name`` says in messages which version that is.

    Raises:
        InvalidInput: the version was registered without, or is no training's.

    >>> read_request('{"model": "intent", "dataset": "bank"}', "version 1").seed
    0
    """
    try:
        return _REQUEST.decode(text)
    except msgspec.DecodeError:
        raise InvalidInput(
            "version", f"{name} does not say how it was trained, so it cannot be made again; train a new one"
        ) from None


def with_learner(recipe: Recipe, learner: str) -> Recipe:
    """The recipe with a user's own estimator in place of the built-in model.

    Raises:
        InvalidInput: ``learner`` is not of the form ``MODULE:FACTORY``.

    >>> with_learner(SHIPPED, "models.linear:build").learner
    'models.linear:build'
    """
    try:
        return msgspec.convert(msgspec.structs.asdict(recipe) | {"learner": learner}, Recipe)
    except msgspec.ValidationError:
        raise InvalidInput("learner", f"is {learner[:80]!r}; write MODULE:FACTORY, as in my_model:build") from None


def read_recipe(path: Path) -> Recipe:
    """A recipe from a TOML file; what it leaves out is as shipped.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it cannot be read, or a name or value is wrong.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound("recipe", f"{path} is not there; 'headset tune' writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("recipe", f"{path} cannot be read ({error}); name a TOML file") from None
    return read_recipe_text(text, str(path))


def read_recipe_text(text: str, name: str) -> Recipe:
    """The same from its text; ``name`` says in messages where it came from.

    Raises:
        InvalidInput: it is no TOML, or a name or value is wrong.
    """
    try:
        return msgspec.toml.decode(text, type=Recipe)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidInput("recipe", f"{name} is no recipe ({error}); see docs/training.md") from None
