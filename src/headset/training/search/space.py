"""What a search may vary: for each field of a recipe a range of numbers, or the choices there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Struct
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from headset.core.errors import InvalidInput, NotFound
from headset.training.recipe import SHIPPED, Grams, Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CHOICES = 50


class Range(Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers from ``low`` to ``high``, all equally likely, or their logarithms."""

    low: float
    high: float
    log: bool = True


Choices = Annotated[tuple[str, ...], Meta(min_length=1, max_length=_CHOICES)]
Pairs = Annotated[tuple[Grams, ...], Meta(min_length=1, max_length=_CHOICES)]


class Space(Struct, frozen=True, forbid_unknown_fields=True):
    """The recipes that a search may try; a field left out stays as shipped.

    Attributes:
        words: Choices of the shortest and longest run of words.
        characters: The same of characters.
        embedding_weight: Range.
        penalty: Range.
        encoder: Choices, of those installed.

    >>> space = read_space_text("penalty = {low = 0.1, high = 1.0}", "space.toml")
    >>> list(space.distributions()), space.recipe({"penalty": 0.5}).penalty
    (['penalty'], 0.5)
    """

    words: Pairs | None = None
    characters: Pairs | None = None
    embedding_weight: Range | None = None
    penalty: Range | None = None
    encoder: Choices | None = None

    def distributions(self) -> dict[str, BaseDistribution]:
        """How each field that varies is drawn."""
        found: dict[str, BaseDistribution] = {}
        for name in self.__struct_fields__:
            match getattr(self, name):
                case Range(low, high, log):
                    found[name] = FloatDistribution(low, high, log=log)
                case tuple() as choices if len(choices) > 1:
                    found[name] = CategoricalDistribution([_shown(choice) for choice in choices])
        return found

    def recipe(self, drawn: Mapping[str, Any]) -> Recipe:
        """The recipe of drawn values; what is not drawn is the only choice there is, or as shipped."""
        fields = msgspec.structs.asdict(SHIPPED)
        for name in self.__struct_fields__:
            given = getattr(self, name)
            if name in drawn:
                value = drawn[name]
                fields[name] = (
                    next(each for each in given if _shown(each) == value) if isinstance(value, str) else value
                )
            elif isinstance(given, tuple):
                fields[name] = given[0]
        return Recipe(**fields)

    def drawn(self, recipe: Recipe) -> dict[str, Any] | None:
        """The values that would draw a recipe; None for a recipe outside the space."""
        values = {}
        for name, distribution in self.distributions().items():
            value = getattr(recipe, name)
            values[name] = value if isinstance(distribution, FloatDistribution) else _shown(value)
            if isinstance(distribution, FloatDistribution):
                inside = distribution.low <= value <= distribution.high
            else:
                inside = values[name] in distribution.choices  # type: ignore[attr-defined]
            if not inside:
                return None
        return values if self.recipe(values) == recipe else None

    def check(self, encoders: tuple[str, ...]) -> None:
        """Refuse a space with nothing to vary, or with values that no recipe takes.

        Raises:
            InvalidInput: names the field, the value and the limit.
        """
        for name in self.__struct_fields__:
            given = getattr(self, name)
            field = f"space.{name}"
            if isinstance(given, Range):
                _check_range(field, given, name)
            elif given is not None:
                if len(set(given)) < len(given):
                    raise InvalidInput(field, f"names a choice twice: {', '.join(map(_shown, given))}; name each once")
                for choice in given:
                    self._try(field, {name: choice})
        for encoder in self.encoder or ():
            if encoder not in encoders:
                raise InvalidInput(
                    "space.encoder", f"{encoder!r} is not installed; there are: {', '.join(sorted(encoders))}"
                )
        if not self.distributions():
            raise InvalidInput("space", "leaves nothing to vary; give a range or two choices, see docs/tuning.md")

    def _try(self, field: str, changes: dict[str, Any]) -> None:
        try:
            msgspec.convert(msgspec.to_builtins(SHIPPED) | msgspec.to_builtins(changes), Recipe)
        except (InvalidInput, msgspec.ValidationError) as error:
            raise InvalidInput(field, f"{_shown(next(iter(changes.values())))} is no choice ({error})") from None


def shipped_space(encoders: tuple[str, ...]) -> Space:
    """What is searched unless told otherwise, with all encoders there are."""
    return Space(
        words=((1, 1), (1, 2), (1, 3)),
        characters=((2, 4), (3, 4), (3, 5), (2, 5), (3, 6)),
        embedding_weight=Range(0.25, 8.0),
        penalty=Range(0.02, 5.0),
        encoder=encoders if len(encoders) > 1 else None,
    )


def read_space(path: Path) -> Space:
    """A space from a TOML file.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it cannot be read, or a name or value is wrong.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound("space", f"{path} is not there; see docs/tuning.md for what goes into it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("space", f"{path} cannot be read ({error}); name a TOML file") from None
    return read_space_text(text, str(path))


def read_space_text(text: str, name: str) -> Space:
    """The same from its text; ``name`` says in messages where it came from.

    Raises:
        InvalidInput: it is no TOML, or a name or value is wrong.
    """
    try:
        return msgspec.toml.decode(text, type=Space)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        fields = ", ".join(Space.__struct_fields__)
        raise InvalidInput("space", f"{name} is no search space ({error}); its fields are {fields}") from None


def _check_range(field: str, given: Range, name: str) -> None:
    if not given.low < given.high:
        raise InvalidInput(field, f"goes from {given.low:g} to {given.high:g}, which is empty; low is below high")
    if given.log and given.low <= 0:
        raise InvalidInput(field, f"goes from {given.low:g} on a logarithmic scale; start above 0, or set log = false")
    for end in (given.low, given.high):
        try:
            msgspec.convert(msgspec.to_builtins(SHIPPED) | {name: end}, Recipe)
        except msgspec.ValidationError as error:
            raise InvalidInput(field, f"reaches {end:g} ({error}); narrow it") from None


def _shown(choice: object) -> str:
    """A choice as the store keeps it: ``1-2`` for a pair."""
    return "-".join(map(str, choice)) if isinstance(choice, tuple) else str(choice)
