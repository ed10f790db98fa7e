"""Plans: what applying definitions would change, and whom it touches.

The definitions given are the whole truth: what is live and not among them is removed, unless somebody reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from headset.core.errors import Conflict, InvalidInput
from headset.events.schema import (
    FeatureServiceApplied,
    FeatureServiceRemoved,
    FeatureViewApplied,
    FeatureViewRemoved,
)
from headset.features.catalogue import What, features_of, reads
from headset.features.definition import Feature, FeatureService, FeatureView, pinned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from headset.events.schema import Payload
    from headset.features.catalogue import Catalogue
    from headset.features.on_demand import OnDemandFeature

Action = Literal["added", "changed", "described", "removed", "unchanged"]
ANY_QUEUE = "*"
"""Stands for all queues, where nobody knows which."""

_LONGEST = 1_000_000
_DEEPEST = 100
_OPEN, _CLOSE = b"{}"
_SHOWN = 200
_TOLD = ("owner", "description", "freshness")


class Definitions(Struct, frozen=True, kw_only=True):
    """Views and services that belong together, such as those of one repository.

    Raises:
        InvalidInput: two views or two services have one name, or one cannot be written down and read back.
    """

    views: tuple[FeatureView, ...] = ()
    services: tuple[FeatureService, ...] = ()

    def __post_init__(self) -> None:
        for what, group in (("view", self.views), ("service", self.services)):
            names = [each.name for each in group]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise InvalidInput(twice[0], f"is the name of two different {what}s; names are unique")
            for definition in group:
                _check_storable(definition)

    def pinned(self, versions: Mapping[str, str]) -> Definitions:
        """The same made of signals of these versions; see :func:`~headset.features.definition.pinned`."""
        return Definitions(
            views=tuple(pinned(view, versions) for view in self.views),
            services=tuple(
                replace(service, views=tuple(pinned(view, versions) for view in service.views))
                for service in self.services
            ),
        )


class Usage(Struct, frozen=True, kw_only=True):
    """A registered model version that reads features.

    Attributes:
        model: The model's name.
        version: Its version.
        aliases: What points at it; a version that no alias points at is not in use.
        service: The name of the feature service it reads.
        features: The versions of the features it reads, by ``view.feature``.
        queues: The queues it decided for lately; empty where nobody knows, which stands for all.
    """

    model: str
    version: str
    aliases: tuple[str, ...] = ()
    service: str = ""
    features: dict[str, str] = {}
    queues: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.model} {self.version} ({', '.join(self.aliases)})"


class Difference(Struct, frozen=True):
    """One thing that changes; None where it was or will not be there."""

    field: str
    before: str | None
    after: str | None


class Change(Struct, frozen=True, kw_only=True):
    """What becomes of one definition.

    Attributes:
        action: ``changed`` makes a new version, ``described`` changes only what is told of it.
        what: ``view`` or ``service``.
        name: Its name.
        before: The version that is live; "" where none is.
        after: The version that is to be; "" where it is removed.
        differences: Exactly what changes.
        services: The services that read what changes.
        models: The model versions in use that read what changes.
        queues: The queues these decide for; ``*`` for all.
    """

    action: Action
    what: What
    name: str
    before: str = ""
    after: str = ""
    differences: tuple[Difference, ...] = ()
    services: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()


class OldVersion(Struct, frozen=True):
    """A version of a view that is live beside the one wanted: kept for its readers, dropped where it has none."""

    view: str
    version: str
    readers: tuple[str, ...]


class Plan(Struct, frozen=True, kw_only=True):
    """What applying definitions would change.

    Attributes:
        changes: Each definition wanted or live: views, then services, by name.
        old: Older versions of the views wanted.
        wanted: What is to be live.
        position: Of the catalogue it was made for.
        gone: Name and version of each view that is removed.
    """

    changes: tuple[Change, ...]
    old: tuple[OldVersion, ...]
    wanted: Definitions
    position: int
    gone: tuple[tuple[str, str], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not self.payloads("")

    def payloads(self, commit: str) -> list[Any]:
        """What to append to the log."""
        views = {view.name: view for view in self.wanted.views}
        services = {service.name: service for service in self.wanted.services}
        found: list[Payload] = []
        for change in self.changes:
            if change.action in {"unchanged", "removed"}:
                continue
            if change.what == "view":
                found.append(_applied(FeatureViewApplied, views[change.name], commit))
            else:
                found.append(_applied(FeatureServiceApplied, services[change.name], commit))
        found += [
            FeatureServiceRemoved(name=change.name)
            for change in self.changes
            if change.action == "removed" and change.what == "service"
        ]
        dropped = [(old.view, old.version) for old in self.old if not old.readers]
        return found + [FeatureViewRemoved(name=name, version=version) for name, version in (*self.gone, *dropped)]


def plan(catalogue: Catalogue, wanted: Definitions, users: Sequence[Usage]) -> Plan:
    """What applying ``wanted`` would change.

    Where a view changes, its old version stays live while a model version in use, or a service, reads a feature that
    only it has.

    Args:
        catalogue: What is live.
        wanted: What is to be live, all of it, made of the signals that are computed now.
        users: The registered model versions that read features.

    Raises:
        InvalidInput: a service reads a view, or a version of one, that there is not.
        Conflict: a view, feature or service is to be removed that a model in use reads, or the values of a feature
            would become of another kind.
    """
    position = catalogue.position
    views, services = catalogue.views(), {service.name: service for service in catalogue.services()}
    live: dict[str, list[FeatureView]] = {}
    for view in views:
        live.setdefault(view.name, []).append(view)
    in_use = [user for user in users if user.aliases]
    whole = _Whole(wanted, live, services, in_use)
    whole.check()
    changes = (
        *(whole.view_change(name) for name in sorted({*live, *whole.views})),
        *(whole.service_change(name) for name in sorted({*services, *whole.services})),
    )
    gone = tuple((name, view.version) for name in sorted(set(live) - set(whole.views)) for view in live[name])
    old = tuple(version for name in sorted(set(live) & set(whole.views)) for version in whole.old_versions(name))
    return Plan(changes=changes, old=old, wanted=wanted, position=position, gone=gone)


class _Whole:
    """What is wanted, what is live, and who reads it."""

    def __init__(
        self,
        wanted: Definitions,
        live: Mapping[str, Sequence[FeatureView]],
        services: Mapping[str, FeatureService],
        users: Sequence[Usage],
    ) -> None:
        self.views = {view.name: view for view in wanted.views}
        self.services = {service.name: service for service in wanted.services}
        self._live = live
        self._live_services = services
        self._users = users

    def check(self) -> None:
        """Raise what :func:`plan` raises."""
        for service in self.services.values():
            for view in service.views:
                self._check_read(service, view.name)
        for name, versions in self._live.items():
            if name not in self.views:
                self._refuse_removal(name, {feature.name for view in versions for feature in view.features}, whole=True)
                continue
            wanted = self.views[name]
            lost = {feature.name for view in versions for feature in view.features} - set(wanted.versions)
            self._refuse_removal(name, lost, whole=False)
            for view in versions:
                _check_kinds(view, wanted)
        for name in set(self._live_services) - set(self.services):
            users = [str(user) for user in self._users if user.service == name]
            if users:
                raise Conflict(name, f"is read by {', '.join(users)}; keep the service until no alias points there")

    def view_change(self, name: str) -> Change:
        """What becomes of a view."""
        before = self._live[name][0] if name in self._live else None
        after = self.views.get(name)
        differences = tuple(_view_differences(before, after))
        old, new = ({} if view is None else view.versions for view in (before, after))
        touched = {f"{name}.{feature}" for feature in {*old, *new} if old.get(feature) != new.get(feature)}
        return self._change("view", name, before, after, differences, touched)

    def service_change(self, name: str) -> Change:
        """What becomes of a service."""
        before, after = self._live_services.get(name), self.services.get(name)
        change = self._change("service", name, before, after, tuple(_service_differences(before, after)), set())
        users = [user for user in self._users if user.service == name]
        return change if change.action in {"unchanged", "described"} else _touching(change, (), users)

    def old_versions(self, name: str) -> Iterator[OldVersion]:
        """What becomes of the live versions of a view that are not the one wanted."""
        wanted = self.views[name]
        needs = [(f"service {service.name}", reads(service, name)) for service in self.services.values()]
        needs += [(str(user), features_of(user.features, name)) for user in self._users]
        needs = [(reader, need) for reader, need in needs if not need <= wanted.versions.items()]
        for view in self._live[name]:
            if view.version != wanted.version:
                served = [reader for reader, need in needs if need <= view.versions.items()]
                needs = [(reader, need) for reader, need in needs if reader not in served]
                yield OldVersion(name, view.version, tuple(served))

    def _change(
        self,
        what: What,
        name: str,
        before: FeatureView | FeatureService | None,
        after: FeatureView | FeatureService | None,
        differences: tuple[Difference, ...],
        touched: set[str],
    ) -> Change:
        change = Change(
            action=_action(before, after, differs=bool(differences)),
            what=what,
            name=name,
            before="" if before is None else before.version,
            after="" if after is None else after.version,
            differences=differences,
        )
        services = {**self._live_services, **self.services}
        readers = (service.name for service in services.values() if touched & set(service.stored))
        return _touching(change, readers, [user for user in self._users if touched & set(user.features)])

    def _check_read(self, service: FeatureService, name: str) -> None:
        need = reads(service, name)
        if not need:
            return
        if name not in self.views:
            raise InvalidInput(f"{service.name}.views", f"reads the view {name}, which is not defined; add it")
        known = [self.views[name], *self._live.get(name, ())]
        if not any(need <= view.versions.items() for view in known):
            others = ", ".join(sorted(feature for feature, _ in need - self.views[name].versions.items()))
            raise InvalidInput(
                f"{service.name}.views", f"reads {others} of another {name} than the view defined; give it that view"
            )

    def _refuse_removal(self, view: str, features: set[str], *, whole: bool) -> None:
        for user in self._users:
            read = sorted(feature for feature, _ in features_of(user.features, view) if feature in features)
            if read:
                users = ", ".join(str(each) for each in self._users if features_of(each.features, view))
                raise Conflict(
                    view if whole else f"{view}.{read[0]}",
                    f"is read by {users}; keep it until no alias points at a model that reads it",
                )


def _check_storable(definition: FeatureView | FeatureService) -> None:
    """Refuse what the log could not keep or nobody could read back: fields of another type, classes of one's own."""
    name = str(definition.name)[:_SHOWN]
    try:
        text = msgspec.json.encode(definition)
        if len(text) > _LONGEST or _depth(text) > _DEEPEST:
            raise InvalidInput(
                name,
                f"takes {len(text)} bytes, {_depth(text)} deep; the limits are {_LONGEST} and {_DEEPEST}; divide it",
            )
        same = msgspec.json.decode(text, type=type(definition)) == definition
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            name, f"cannot be kept ({str(error)[:_SHOWN]}); give each field what its type says"
        ) from None
    if not same:
        raise InvalidInput(name, "reads back as something else; use the classes of headset.features as they are")


def _depth(text: bytes) -> int:
    """How deeply objects are nested in JSON; a brace in a text counts as one."""
    depth = deepest = 0
    for byte in text:
        depth += (byte == _OPEN) - (byte == _CLOSE)
        deepest = max(deepest, depth)
    return deepest


def _touching(change: Change, services: Iterable[str], users: Sequence[Usage]) -> Change:
    queues = {queue for user in users for queue in user.queues or (ANY_QUEUE,)}
    return replace(
        change,
        services=tuple(sorted({*change.services, *services})),
        models=tuple(sorted({*change.models, *(str(user) for user in users)})),
        queues=(ANY_QUEUE,) if ANY_QUEUE in queues else tuple(sorted(queues)),
    )


def _action(
    before: FeatureView | FeatureService | None, after: FeatureView | FeatureService | None, *, differs: bool
) -> Action:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    if before.version != after.version:
        return "changed"
    return "described" if differs else "unchanged"


def _applied(kind: Any, definition: FeatureView | FeatureService, commit: str) -> Any:  # noqa: ANN401 - one of two
    text = msgspec.json.encode(definition).decode()
    return kind(name=definition.name, version=definition.version, definition=text, commit=commit)


def _check_kinds(before: FeatureView, after: FeatureView) -> None:
    kinds = after.kinds
    for name, kind in before.kinds.items():
        if kinds.get(name, kind) != kind:
            raise Conflict(
                f"{after.name}.{name}",
                f"gives a {kind} and would give a {kinds[name]}; give the new feature another name",
            )


def _view_differences(before: FeatureView | None, after: FeatureView | None) -> Iterator[Difference]:
    if before is not None and after is not None:
        for field in ("entity", "event", "filter", *_TOLD):
            yield from _differing(field, getattr(before, field), getattr(after, field))
        for name in sorted({*before.signals, *after.signals}):
            yield from _differing(f"signals.{name}", before.signals.get(name), after.signals.get(name))
    yield from _feature_differences(
        "", before.features if before is not None else (), after.features if after is not None else ()
    )


def _service_differences(before: FeatureService | None, after: FeatureService | None) -> Iterator[Difference]:
    if before is not None and after is not None:
        for field in ("owner", "description"):
            yield from _differing(field, getattr(before, field), getattr(after, field))
        for name in sorted({*before.stored, *after.stored}):
            yield from _differing(name, before.stored.get(name), after.stored.get(name))
    else:
        taken = (None if service is None else ", ".join(service.stored) for service in (before, after))
        yield Difference("features", *taken)
    yield from _feature_differences(
        "on_demand.", before.on_demand if before is not None else (), after.on_demand if after is not None else ()
    )


def _feature_differences(
    prefix: str, before: Sequence[Feature | OnDemandFeature], after: Sequence[Feature | OnDemandFeature]
) -> Iterator[Difference]:
    old, new = ({feature.name: feature for feature in group} for group in (before, after))
    for name in dict.fromkeys((*old, *new)):
        if name not in old or name not in new:
            was, will = (_spelled(group[name]) if name in group else None for group in (old, new))
            yield Difference(f"{prefix}{name}", was, will)
            continue
        for field in old[name].__struct_fields__:
            yield from _differing(f"{prefix}{name}.{field}", getattr(old[name], field), getattr(new[name], field))


def _differing(field: str, before: object, after: object) -> Iterator[Difference]:
    if before != after:
        yield Difference(field, *(None if value is None else str(value) for value in (before, after)))


def _spelled(feature: Feature | OnDemandFeature) -> str:
    """A feature in one line."""
    computed = feature.computed if isinstance(feature, Feature) else str(feature.expression)
    return computed if feature.default is None else f"{computed}, else {feature.default}"
