"""The truth about a simulated period, in a file of its own that no model ever reads.

JSON Lines; ``kind`` says what a line is: ``scenario`` (the first), ``episode``, ``fault``, ``contact`` (one per
conversation, when its end is known), ``kpis`` and ``effect`` (the last; a run that was stopped lacks them).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from headset.core.errors import StorageFailed

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import BinaryIO, Self

    from headset.twin.scenario import Scenario
    from headset.twin.stage import Contact
    from headset.twin.tally import Course


_FOR_EVER = datetime.max  # noqa: DTZ901 - the centre's own clock has no zone


class Beginning(Struct, frozen=True, tag="scenario", tag_field="kind"):
    """What was simulated; ``days`` is None for a live run that went on until it was stopped."""

    scenario: str
    seed: int
    start: datetime
    days: float | None


class Episode(Struct, frozen=True, omit_defaults=True, tag="episode", tag_field="kind"):
    """A time in which the traffic differs: ``seasonal``, ``emergent`` or ``gradual`` drift, or ``unfair`` to some."""

    name: str
    drift: Literal["seasonal", "emergent", "gradual", "unfair"]
    start: datetime
    end: datetime
    intents: tuple[str, ...] = ()
    where: dict[str, str] = {}
    words: dict[str, str] = {}


class PlantedFault(Struct, frozen=True, tag="fault", tag_field="kind"):
    """A fault in the data."""

    name: str
    fault: str
    field: str
    share: float
    start: datetime
    end: datetime


class TrueContact(Struct, frozen=True, omit_defaults=True, tag="contact", tag_field="kind"):
    """How one conversation went; see :class:`~headset.twin.stage.Contact` and :class:`~headset.twin.tally.Course`."""

    conversation_id: str
    customer_id: str
    time: datetime
    intent: str
    language: str
    channel: str
    segments: dict[str, str]
    satisfaction: int
    solved: bool
    attempt: int = 1
    incident: str | None = None
    arm: str | None = None
    said: str | None = None
    bot_ended: bool = False
    answered: bool = False
    abandoned: bool = False
    misled: bool = False
    transfers: int = 0
    waited_s: float = 0.0
    handled_s: float = 0.0
    return_s: float | None = None


class TrueKpis(Struct, frozen=True, tag="kpis", tag_field="kind"):
    """The KPIs of all contacts, or of those that one version served."""

    arm: str | None
    contacts: int
    figures: dict[str, float | None]


class TrueEffect(Struct, frozen=True, tag="effect", tag_field="kind"):
    """What serving everybody with ``arm`` rather than with ``baseline`` would do to a KPI.

    ``error`` is the standard error of ``effect``, which is a mean over paired simulations.
    """

    arm: str
    baseline: str
    kpi: str
    effect: float
    error: float


Line = Beginning | Episode | PlantedFault | TrueContact | TrueKpis | TrueEffect

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


class TruthFile:
    """Writes the lines.

    Args:
        path: A new file; None to write nothing.

    Raises:
        StorageFailed: from any method: the file cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb")
        except OSError as error:
            there = isinstance(error, FileExistsError) and path.exists()
            problem = "is there already; remove it, or" if there else f"cannot be written ({error.strerror});"
            raise StorageFailed(f"{path} {problem} name another with --truth") from error

    def write(self, *lines: Line) -> None:
        """Add lines."""
        if self._file is None:
            return
        try:
            self._file.writelines(_encode(line) + b"\n" for line in lines)
            self._file.flush()  # a run that is stopped leaves whole lines
        except OSError as error:
            raise StorageFailed(f"{self._path} cannot be written ({error.strerror}); the truth ends there") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with suppress(OSError):  # what could not be written has been told
                self._file.close()


def read_truth(path: Path) -> list[Line]:
    """All lines of a truth file, for whoever judges the judges.

    A last line that was cut short, because the machine stopped, is left out.

    Raises:
        StorageFailed: the file cannot be read, or a line is none of these.
    """
    found: list[Line] = []
    try:
        with path.open("rb") as file:
            found += (_decode(line) for line in file if line.endswith(b"\n"))
    except OSError as error:
        raise StorageFailed(f"{path} cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise StorageFailed(f"line {len(found) + 1} of {path} is damaged ({error})") from error
    return found


def episodes(scenario: Scenario, days: float | None) -> list[Episode | PlantedFault]:
    """Everything the scenario plants, in order of time; for ever, if it has no end, where ``days`` is None."""
    end = _FOR_EVER if days is None else scenario.start + timedelta(days=days)
    found: list[Episode | PlantedFault] = [
        Episode(
            each.name,
            "seasonal",
            datetime.combine(each.start, time()),
            datetime.combine(each.last, time()) + timedelta(days=1),
            tuple(each.intents),
        )
        for each in scenario.calendar.occasions
    ]
    found += [
        Episode(each.name, "emergent", each.start, each.start + timedelta(hours=each.hours), (each.intent,), each.where)
        for each in scenario.incidents
    ]
    found += [
        Episode(each.name, "gradual", each.start, each.end, tuple(each.intents), words=each.words)
        for each in scenario.changes
    ]
    found += [Episode(each.name, "unfair", scenario.start, end, where=each.where) for each in scenario.unfairness]
    found += [
        PlantedFault(each.name, each.kind, each.field, each.share, each.start, each.end) for each in scenario.faults
    ]
    return sorted(found, key=lambda each: (each.start, each.name))


def true_contact(contact: Contact, course: Course, start: datetime) -> TrueContact:
    """The line of a contact that is over."""
    return TrueContact(
        conversation_id=contact.conversation_id,
        customer_id=contact.customer.customer_id,
        time=start + timedelta(seconds=round(contact.start_s, 3)),
        intent=contact.intent,
        language=contact.customer.language,
        channel=contact.channel,
        segments=contact.customer.segments,
        attempt=contact.attempt,
        incident=contact.incident,
        arm=course.arm,
        said=course.said,
        bot_ended=course.bot_ended,
        answered=course.answered,
        abandoned=course.abandoned,
        misled=course.misled,
        transfers=course.transfers,
        waited_s=round(course.waited_s, 3),
        handled_s=round(course.handled_s, 3),
        solved=course.solved,
        satisfaction=course.satisfaction,
        return_s=None if course.return_s is None else round(course.return_s, 3),
    )
