"""Feature views: what is computed, declared once; incremental.py and batch.py compute it.

A version is the hash of what a definition means: two definitions of one version give the same values for ever.
Names of Python variables, descriptions, owners, freshness and the order of features are not part of it.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr

from headset.core.errors import InvalidInput
from headset.features.aggregation import EVERY_FACT, Aggregation, Count
from headset.features.expression import Column, Expression, SecondsSince
from headset.features.fact import COLUMNS, Entity, Kind, entities_of
from headset.features.window import CONVERSATION_US, duration

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEMANTICS = 1
"""Raised when an aggregation or operator comes to mean something else."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PYTHON_TYPES: dict[Kind, type] = {"number": float, "flag": bool, "word": str}


class Feature(Struct, frozen=True, kw_only=True):
    """One value of a view.

    Attributes:
        name: Unique in its view.
        aggregation: What becomes of the values.
        window: How far back, up to the moment asked for: ``conversation``, or a duration such as ``7 d``. The
            window of t is (t - window, t].
        expression: What is aggregated; without one, :class:`Count` counts facts.
        default: The value where nothing is known; None for missing. Counts and sums of nothing are 0, means of
            vectors zeros.
        description: What it says, for people.
    """

    name: str
    aggregation: Aggregation
    window: str
    expression: Expression | None = None
    default: float | str | bool | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if self.default is not None and not isinstance(self.default, (str, bool)):
            force_setattr(self, "default", float(self.default))

    @property
    def window_us(self) -> int:
        """Length of the window, microseconds."""
        return CONVERSATION_US if self.window == "conversation" else duration("window", self.window)

    def kind(self, event: str) -> Kind:
        """What its values are."""
        return self.aggregation.kind(self._operand.kind(event))

    def input(self, event: str) -> Expression:
        """What is aggregated, for facts of type ``event``."""
        return self.aggregation.input(self._operand, self._operand.kind(event))

    @property
    def of_nothing(self) -> float | str | bool | None:
        """The value of an empty window (zeros for vectors)."""
        return self.default if self.aggregation.of_nothing is None else self.aggregation.of_nothing

    @property
    def _operand(self) -> Expression:
        return EVERY_FACT if self.expression is None else self.expression


class FeatureView(Struct, frozen=True, kw_only=True):
    """Features of one kind of entity, from one type of event.

    Attributes:
        name: Unique among views.
        entity: What the features are about.
        event: The type of event they are made of.
        features: At least one.
        owner: Who answers for it.
        description: What it is for.
        filter: Facts for which this is false or null do not count.
        freshness: How soon after an event the values online reflect it, at the latest.

    Raises:
        InvalidInput: it cannot be computed; the message names view, feature and field.

    >>> from headset.features.aggregation import Mean
    >>> from headset.features.expression import column
    >>> mood = FeatureView(
    ...     name="mood", entity="customer", event="TurnReceived", owner="care", description="How customers sound.",
    ...     filter=column("speaker").equals("customer"),
    ...     features=(Feature(name="sentiment", expression=column("sentiment"), aggregation=Mean(), window="7 d"),),
    ... )
    >>> FeatureView(name="mood", entity="queue", event="LabelRecorded", features=mood.features, owner="", description="")
    Traceback (most recent call last):
    headset.core.errors.InvalidInput: mood.entity: LabelRecorded bears no queue; it bears conversation, customer
    """

    name: str
    entity: Entity
    event: str
    features: tuple[Feature, ...]
    owner: str
    description: str
    filter: Expression | None = None
    freshness: str = "1 s"

    def __post_init__(self) -> None:
        _check_name("name", self.name)
        if self.event not in COLUMNS:
            raise InvalidInput(f"{self.name}.event", f"{self.event!r} is none of {', '.join(COLUMNS)}")
        borne = entities_of(self.event)
        if self.entity not in borne:
            raise InvalidInput(
                f"{self.name}.entity", f"{self.event} bears no {self.entity}; it bears {', '.join(borne)}"
            )
        _named(self.name, duration, "freshness", self.freshness)
        if self.filter is not None and _named(f"{self.name}.filter", self.filter.kind, self.event) != "flag":
            raise InvalidInput(f"{self.name}.filter", "is neither true nor false; write a comparison")
        names = [feature.name for feature in self.features]
        if not names or len(set(names)) < len(names):
            raise InvalidInput(f"{self.name}.features", "is empty or holds a name twice; names are unique in a view")
        for feature in self.features:
            self._check(feature)

    @property
    def versions(self) -> dict[str, str]:
        """The version of each feature, by name."""
        return {feature.name: _hash(self._meaning(feature)) for feature in self.features}

    @property
    def version(self) -> str:
        """The version of the whole."""
        return _hash(sorted(self.versions.items()))

    @property
    def horizon_us(self) -> int:
        """The longest window, microseconds."""
        return max(feature.window_us for feature in self.features)

    @property
    def inputs(self) -> list[Expression]:
        """What its features aggregate, each once."""
        return list(dict.fromkeys(feature.input(self.event) for feature in self.features))

    @property
    def markers(self) -> list[SecondsSince]:
        """The :func:`~headset.features.expression.seconds_since` in it, each once."""
        return list(dict.fromkeys(part for part in self._parts() if isinstance(part, SecondsSince)))

    @property
    def columns(self) -> set[str]:
        """The columns it is made of, also those of the events that its markers look at."""
        parts = [*self._parts(), *(part for marker in self.markers for part in marker.where.parts())]
        return {part.name for part in parts if isinstance(part, Column)}

    def _parts(self) -> Iterator[Expression]:
        for whole in self.inputs if self.filter is None else [*self.inputs, self.filter]:
            yield from whole.parts()

    def _meaning(self, feature: Feature) -> dict[str, Any]:
        return {
            "semantics": _SEMANTICS,
            "entity": self.entity,
            "event": self.event,
            "filter": self.filter,
            "expression": feature.input(self.event),
            "aggregation": _spelled(feature.aggregation),
            "window_us": feature.window_us,
            "default": feature.default,
        }

    def _check(self, feature: Feature) -> None:
        _check_name(f"{self.name}.features", feature.name)
        place = f"{self.name}.{feature.name}"
        if feature.window == "conversation" and self.entity != "conversation":
            raise InvalidInput(f"{place}.window", f"is the conversation, but the view is about a {self.entity}")
        window_us = _named(place, lambda: feature.window_us)
        _named(f"{place}.aggregation", feature.aggregation.check, window_us)
        if feature.expression is None and not isinstance(feature.aggregation, Count):
            raise InvalidInput(f"{place}.expression", "is missing; only Count does without")
        operand = EVERY_FACT if feature.expression is None else feature.expression
        kind = _named(f"{place}.expression", operand.kind, self.event)
        taken = feature.aggregation.takes
        if kind not in taken:
            name = type(feature.aggregation).__name__
            raise InvalidInput(f"{place}.expression", f"is a {kind}; {name} takes {' or '.join(sorted(taken))}")
        self._check_default(place, feature)

    def _check_default(self, place: str, feature: Feature) -> None:
        default, gives = feature.default, feature.kind(self.event)
        if default is None:
            return
        if feature.aggregation.of_nothing is not None or gives == "vector":
            raise InvalidInput(f"{place}.default", "is not for counts, sums and vectors; of nothing they are 0")
        if type(default) is not _PYTHON_TYPES[gives]:
            raise InvalidInput(f"{place}.default", f"{default!r} is not a {gives}")
        if isinstance(default, float) and not math.isfinite(default):
            raise InvalidInput(f"{place}.default", f"{default!r} is not a finite number")


class FeatureService(Struct, frozen=True, kw_only=True):
    """What one model reads: some views, or some features of them.

    Attributes:
        name: Unique among services, usually the model's.
        views: Each view once.
        only: The features to take, as ``view.feature``; all when empty.
        owner: Who answers for it.
        description: What it is for.

    Raises:
        InvalidInput: a view occurs twice, or ``only`` names a feature that no view has.
    """

    name: str
    views: tuple[FeatureView, ...]
    owner: str
    description: str
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name("name", self.name)
        names = [view.name for view in self.views]
        if not names or len(set(names)) < len(names):
            raise InvalidInput(f"{self.name}.views", "is empty or holds a view's name twice")
        missing = set(self.only) - {f"{view.name}.{feature.name}" for view in self.views for feature in view.features}
        if missing:
            raise InvalidInput(f"{self.name}.only", f"names {', '.join(sorted(missing))}, which no view of it has")

    @property
    def versions(self) -> dict[str, str]:
        """The version of each feature it takes, by ``view.feature``, in order of name."""
        found = {f"{view.name}.{name}": version for view in self.views for name, version in view.versions.items()}
        return {name: found[name] for name in sorted(self.only or found)}

    @property
    def version(self) -> str:
        """The version of the whole."""
        return _hash(sorted(self.versions.items()))


def _spelled(aggregation: Aggregation) -> dict[str, Any]:
    """An aggregation by its meaning: 60 min are 1 h."""
    fields = {name: getattr(aggregation, name) for name in aggregation.__struct_fields__}
    if "half_life" in fields:
        fields["half_life"] = duration("half_life", fields["half_life"])
    return {"type": type(aggregation).__name__, **{name: float(value) for name, value in fields.items()}}


def _hash(meaning: object) -> str:
    return hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()[:12]


def _check_name(field: str, name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(field, f"{name!r} is no name; take a lower-case letter, then up to 62 of a-z, 0-9 and _")


def _named(place: str, function: Any, *arguments: object) -> Any:  # noqa: ANN401 - what the function gives
    """What ``function`` gives; where it raises, the error says which part of the definition it was in."""
    try:
        return function(*arguments)
    except InvalidInput as error:
        raise InvalidInput(f"{place}.{error.field}", error.problem) from error
