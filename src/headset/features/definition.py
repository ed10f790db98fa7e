"""Feature views and services: what is computed, declared once; incremental.py and batch.py compute it.

A version is the hash of what a definition means: two definitions of one version give the same values for ever.
Names of Python variables, descriptions, owners, freshness and the order of features are not part of it.

Definitions are plain data: ``msgspec.json`` writes them, and reads them back with ``type=FeatureView``.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from headset.core.errors import InvalidInput
from headset.features.aggregation import EVERY_FACT, AnyAggregation, Count
from headset.features.expression import AnyExpression, Column, SecondsSince
from headset.features.fact import COLUMNS, Entity, entities_of
from headset.features.on_demand import ON_DEMAND, OnDemandFeature, OnDemandPlan, check_default
from headset.features.version import SEMANTICS, version_of
from headset.features.window import CONVERSATION_US, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from headset.features.aggregation import Aggregation
    from headset.features.expression import Expression
    from headset.features.fact import Kind

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


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
    aggregation: AnyAggregation
    window: str
    expression: AnyExpression | None = None
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
        return self.aggregation.kind(self._operand.kind(COLUMNS[event]))

    def input(self, event: str) -> Expression:
        """What is aggregated, for facts of type ``event``."""
        return self.aggregation.input(self._operand, self._operand.kind(COLUMNS[event]))

    @property
    def computed(self) -> str:
        """How it is computed, for people.

        >>> from headset.features.expression import column
        >>> Feature(name="angry", expression=column("sentiment") < -0.5, aggregation=Count(), window="1 h").computed
        'Count() of (sentiment < -0.5) over 1 h'
        """
        of = "" if self.expression is None else f" of {self.expression}"
        return f"{self.aggregation!r}{of} over {self.window}"

    @property
    def of_nothing(self) -> float | str | bool | None:
        """The value of an empty window (zeros for vectors)."""
        return self.default if self.aggregation.of_nothing is None else self.aggregation.of_nothing

    @property
    def _operand(self) -> Expression:
        return EVERY_FACT if self.expression is None else self.expression


class FeatureView(Struct, frozen=True, kw_only=True, dict=True):
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
        signals: The versions of what computed its columns, such as ``{"sentiment": "vader-3.3.2"}``; they are part of
            its meaning. Left to :func:`pinned`.

    Raises:
        InvalidInput: it cannot be computed; the message names view, feature and field.

    >>> from headset.features.aggregation import Mean
    >>> from headset.features.expression import column
    >>> mood = FeatureView(
    ...     name="mood", entity="customer", event="TurnReceived", owner="care", description="How customers sound.",
    ...     filter=column("speaker").equals("customer"),
    ...     features=(Feature(name="sentiment", expression=column("sentiment"), aggregation=Mean(), window="7 d"),),
    ... )
    >>> replace(mood, entity="queue", event="LabelRecorded")
    Traceback (most recent call last):
    headset.core.errors.InvalidInput: mood.entity: LabelRecorded bears no queue; it bears conversation, customer
    """

    name: str
    entity: Entity
    event: str
    features: tuple[Feature, ...]
    owner: str
    description: str
    filter: AnyExpression | None = None
    freshness: str = "1 s"
    signals: dict[str, str] = {}

    def __post_init__(self) -> None:
        _check_name("name", self.name)
        if self.name == ON_DEMAND:
            raise InvalidInput("name", f"{ON_DEMAND!r} stands for on-demand features; take another")
        if self.event not in COLUMNS:
            raise InvalidInput(f"{self.name}.event", f"{self.event!r} is none of {', '.join(COLUMNS)}")
        borne = entities_of(self.event)
        if self.entity not in borne:
            raise InvalidInput(
                f"{self.name}.entity", f"{self.event} bears no {self.entity}; it bears {', '.join(borne)}"
            )
        _named(self.name, duration, "freshness", self.freshness)
        if self.filter is not None and _named(f"{self.name}.filter", self.filter.kind, COLUMNS[self.event]) != "flag":
            raise InvalidInput(f"{self.name}.filter", "is neither true nor false; write a comparison")
        names = [feature.name for feature in self.features]
        if not names or len(set(names)) < len(names):
            raise InvalidInput(f"{self.name}.features", "is empty or holds a name twice; names are unique in a view")
        for feature in self.features:
            self._check(feature)
        if foreign := set(self.signals) - self.columns:
            raise InvalidInput(f"{self.name}.signals", f"names {', '.join(sorted(foreign))}, of which it is not made")

    @property
    def versions(self) -> dict[str, str]:
        """The version of each feature, by name."""
        return dict(self._versions)

    @cached_property
    def version(self) -> str:
        """The version of the whole."""
        return version_of(sorted(self._versions.items()))

    @property
    def kinds(self) -> dict[str, Kind]:
        """What the values of each feature are, by name."""
        return {feature.name: feature.kind(self.event) for feature in self.features}

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
        return _columns(self._parts())

    @cached_property
    def _versions(self) -> dict[str, str]:
        return {feature.name: version_of(self._meaning(feature)) for feature in self.features}

    def _parts(self) -> Iterator[Expression]:
        for whole in self.inputs if self.filter is None else [*self.inputs, self.filter]:
            yield from whole.parts()

    def _meaning(self, feature: Feature) -> dict[str, Any]:
        expression = feature.input(self.event)
        meaning = {
            "semantics": SEMANTICS,
            "entity": self.entity,
            "event": self.event,
            "filter": self.filter,
            "expression": expression,
            "aggregation": _spelled(feature.aggregation),
            "window_us": feature.window_us,
            "default": feature.default,
        }
        read = _columns(part for one in (expression, self.filter) if one is not None for part in one.parts())
        signals = sorted((name, version) for name, version in self.signals.items() if name in read)
        return meaning | {"signals": signals} if signals else meaning

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
        kind = _named(f"{place}.expression", operand.kind, COLUMNS[self.event])
        taken = feature.aggregation.takes
        if kind not in taken:
            name = type(feature.aggregation).__name__
            raise InvalidInput(f"{place}.expression", f"is a {kind}; {name} takes {' or '.join(sorted(taken))}")
        self._check_default(place, feature)

    def _check_default(self, place: str, feature: Feature) -> None:
        gives = feature.kind(self.event)
        if feature.default is not None and (feature.aggregation.of_nothing is not None or gives == "vector"):
            raise InvalidInput(f"{place}.default", "is not for counts, sums and vectors; of nothing they are 0")
        check_default(place, feature.default, gives)


class FeatureService(Struct, frozen=True, kw_only=True, dict=True):
    """What one model reads: some views, or some features of them, and what is computed from them on demand.

    Attributes:
        name: Unique among services, usually the model's.
        views: Each view once.
        owner: Who answers for it.
        description: What it is for.
        only: The stored features to take, as ``view.feature``; all when empty.
        on_demand: Features computed from the request and from stored features that it takes.

    Raises:
        InvalidInput: a view occurs twice, ``only`` names a feature that no view has, or an on-demand feature cannot
            be computed.
    """

    name: str
    views: tuple[FeatureView, ...]
    owner: str
    description: str
    only: tuple[str, ...] = ()
    on_demand: tuple[OnDemandFeature, ...] = ()

    def __post_init__(self) -> None:
        _check_name("name", self.name)
        names = [view.name for view in self.views]
        if not names or len(set(names)) < len(names):
            raise InvalidInput(f"{self.name}.views", "is empty or holds a view's name twice")
        missing = set(self.only) - {f"{view.name}.{feature.name}" for view in self.views for feature in view.features}
        if missing:
            raise InvalidInput(f"{self.name}.only", f"names {', '.join(sorted(missing))}, which no view of it has")
        for feature in self.on_demand:
            _check_name(f"{self.name}.{ON_DEMAND}", feature.name)
        _named(self.name, lambda: self.on_demand_plan)

    @property
    def stored(self) -> dict[str, str]:
        """The version of each stored feature it takes, by ``view.feature``, in order of name."""
        return dict(self._stored)

    @property
    def versions(self) -> dict[str, str]:
        """The version of each feature it takes, by ``view.feature`` or ``on_demand.feature``, in order of name."""
        return dict(self._versions)

    @cached_property
    def version(self) -> str:
        """The version of the whole."""
        return version_of(sorted(self._versions.items()))

    @property
    def kinds(self) -> dict[str, Kind]:
        """What the values of each feature are, in the order of ``versions``."""
        found = self._stored_kinds() | {f"{ON_DEMAND}.{name}": kind for name, kind in self.on_demand_plan.kinds.items()}
        return {name: found[name] for name in self._versions}

    @cached_property
    def on_demand_plan(self) -> OnDemandPlan:
        """Its on-demand features made ready, once."""
        return OnDemandPlan(self.on_demand, self._stored_kinds())

    @cached_property
    def _stored(self) -> dict[str, str]:
        found = {f"{view.name}.{name}": version for view in self.views for name, version in view.versions.items()}
        return {name: found[name] for name in sorted(self.only or found)}

    @cached_property
    def _versions(self) -> dict[str, str]:
        on_demand = {f"{ON_DEMAND}.{each.name}": each.version(self._stored) for each in self.on_demand}
        return dict(sorted((self._stored | on_demand).items()))

    def _stored_kinds(self) -> dict[str, Kind]:
        found = {f"{view.name}.{name}": kind for view in self.views for name, kind in view.kinds.items()}
        return {name: found[name] for name in sorted(self.only or found)}


def pinned(view: FeatureView, versions: Mapping[str, str]) -> FeatureView:
    """``view`` made of signals of these versions: a new encoder makes new versions of what is computed from it.

    Args:
        view: As it was written.
        versions: The versions of signals, by column; see :class:`~headset.features.signal.SignalReader`.
    """
    used = {name: version for name, version in sorted(versions.items()) if name in view.columns}
    return view if used == view.signals else replace(view, signals=used)


def _spelled(aggregation: Aggregation) -> dict[str, Any]:
    """An aggregation by its meaning: 60 min are 1 h."""
    fields = {name: getattr(aggregation, name) for name in aggregation.__struct_fields__}
    if "half_life" in fields:
        fields["half_life"] = duration("half_life", fields["half_life"])
    return {"type": type(aggregation).__name__, **{name: float(value) for name, value in fields.items()}}


def _columns(parts: Iterable[Expression]) -> set[str]:
    """The columns among ``parts``, and those that their markers look at."""
    found = list(parts)
    within = (part for marker in found if isinstance(marker, SecondsSince) for part in marker.where.parts())
    return {part.name for part in (*found, *within) if isinstance(part, Column)}


def _check_name(field: str, name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(field, f"{name!r} is no name; take a lower-case letter, then up to 62 of a-z, 0-9 and _")


def _named(place: str, function: Any, *arguments: object) -> Any:  # noqa: ANN401 - what the function gives
    """What ``function`` gives; where it raises, the error says which part of the definition it was in."""
    try:
        return function(*arguments)
    except InvalidInput as error:
        raise InvalidInput(f"{place}.{error.field}", error.problem) from error
