"""``headset plan``: what delivering a project would change, and whom it would touch, before anything does. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict

from headset.features.plan import Difference, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headset.registry.store import ModelVersion


class Load(Struct, frozen=True):
    """A queue in which a model decides, with its conversations a day."""

    queue: str
    contacts_per_day: float


class Touched(Struct, frozen=True):
    """A model that would be another, why, and where it decides.

    Attributes:
        model: Its name.
        version: The one that serves now; None where none does.
        reason: What changes for it.
        queues: Where it decided lately, the busiest first.
    """

    model: str
    version: str | None
    reason: str
    queues: Sequence[Load]

    @property
    def contacts_per_day(self) -> float:
        """In all its queues."""
        return sum(each.contacts_per_day for each in self.queues)


class DeliveryPlan(Struct, frozen=True):
    """What a delivery would do.

    Attributes:
        project: Its name.
        commit: What would be delivered; marked when files differ from it.
        model: Whose next version it would be.
        champion: The version that serves now; None where none does.
        champion_commit: What that was made from.
        differences: In how the model is made.
        files: Changed since the champion's commit; None where Git does not know that commit.
        features: What applying the feature definitions would change.
        touched: The models, with queues and contacts.
        days: How far back contacts were counted.
    """

    project: str
    commit: str
    model: str
    champion: str | None
    champion_commit: str | None
    differences: Sequence[Difference]
    files: Sequence[str] | None
    features: Plan
    touched: Sequence[Touched]
    days: float


def differences(before: Mapping[str, object] | None, after: Mapping[str, object]) -> list[Difference]:
    """Settings that differ, in order of name.

    >>> differences({"penalty": 0.3, "seed": 0}, {"penalty": 0.5, "seed": 0})
    [Difference(field='penalty', before='0.3', after='0.5')]
    """
    known = before or {}
    return [
        Difference(name, _shown(known, name), _shown(after, name))
        for name in sorted({*known, *after})
        if _shown(known, name) != _shown(after, name)
    ]


def settings(request: Struct) -> dict[str, object]:
    """A training's request as flat names and values: ``recipe.penalty``.

    >>> from headset.training.recipe import IntentRequest
    >>> settings(IntentRequest(dataset="bank"))["recipe.encoder"]
    'static'
    """
    flat: dict[str, object] = {}
    for name, value in asdict(request).items():
        if isinstance(value, Struct):
            flat |= {f"{name}.{inner}": each for inner, each in settings(value).items()}
        else:
            flat[name] = value
    return flat


def touched(
    model: str,
    champion: ModelVersion | None,
    features: Plan,
    loads: Mapping[str, Sequence[Load]],
    *,
    changes: int,
) -> list[Touched]:
    """The models a delivery touches: its own once promoted, and those that read features that change.

    Args:
        model: The one that is delivered.
        champion: Of it.
        features: What the definitions change.
        loads: Queues by model.
        changes: How many settings and files of the model differ.
    """
    version = None if champion is None else champion.version
    reason = "would be the first version" if champion is None else f"{changes} settings and files differ"
    found = [Touched(model, version, reason, loads.get(model, ()))]
    readers: dict[str, list[str]] = {}
    for change in features.changes:
        for reader in change.models if change.action != "unchanged" else ():
            readers.setdefault(reader, []).append(change.name)
    for reader, names in sorted(readers.items()):
        name, _, number = reader.partition(" ")
        found.append(Touched(name, number.partition(" ")[0], f"reads {', '.join(names)}", loads.get(name, ())))
    return found


def _shown(values: Mapping[str, object], name: str) -> str | None:
    value = values.get(name)
    return None if value is None else str(value)
