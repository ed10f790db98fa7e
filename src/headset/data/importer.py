"""Import: a file of labelled texts or conversations becomes events in the log.

Every text passes the door. Identifiers are made from the content, so importing a file again, or going on
after an interruption, adds only what is missing; equal rows of one file are told apart by their count.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from stat import S_ISREG
from typing import TYPE_CHECKING

from msgspec import Struct

from headset.core.errors import InvalidInput, StorageFailed
from headset.core.ids import stable_id
from headset.data.draft import Draft
from headset.data.formats import banking77, clinc150, jsonl, labelled_csv, uss
from headset.data.occurrence import Occurrences
from headset.data.row import BadRow, Dialogue, Row
from headset.data.rule import check_name, check_row
from headset.events.subject import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from headset.core.clock import Clock
    from headset.data.row import Item, Parser
    from headset.events.door import Door
    from headset.events.log import Log
    from headset.events.schema import Event

FORMATS: Mapping[str, Parser] = {
    "banking77": banking77.parse,
    "clinc150": clinc150.parse,
    "csv": labelled_csv.parse,
    "jsonl": jsonl.parse,
    "uss": uss.parse,
}
BATCH = 512
"""Events per append; a conversation is never split."""

BAD_ROWS_KEPT = 10_000
"""Bad rows described in a report; all are counted."""

_PROGRESS_EVERY = 256


class ImportReport(Struct, frozen=True):
    """What an import did. Rows are labelled texts, or whole conversations.

    Attributes:
        rows: Good rows found in the file.
        added: Rows of which something was new.
        already_there: Rows the log knew in full.
        bad: The first rows kept out, with their numbers and problems.
        bad_count: All rows kept out.
        redactions: How many pieces of personal data of each kind were taken out of new texts.
    """

    rows: int
    added: int
    already_there: int
    bad: list[BadRow]
    bad_count: int
    redactions: dict[str, int]


def import_file(
    path: Path,
    format_name: str,
    name: str,
    *,
    log: Log,
    door: Door,
    clock: Clock,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Import the file at ``path`` as the data set ``name``, in bounded memory.

    Args:
        path: The file.
        format_name: One of :data:`FORMATS`.
        name: The data set's name; events carry the source ``import:NAME``.
        log: Where the events go.
        door: Lets the texts in.
        clock: Dates rows that bear no date, a microsecond apart.
        progress: Called now and then with the bytes read and the size of the file.

    Raises:
        InvalidInput: the name is no name, the format is unknown, or the file is missing, empty, of
            another format, or without any good row.
        StorageFailed: the log or the file failed; importing again goes on where this ended.
    """
    parse = FORMATS.get(format_name)
    if parse is None:
        raise InvalidInput("format", f"{format_name[:40]!r} is unknown; known are {', '.join(FORMATS)}")
    check_name(name)
    with _opened(path, format_name) as (stream, size):
        items = parse(stream)
        if progress is not None:
            items = _watched(items, stream, size, progress)
        try:
            report = import_items(items, name, log=log, door=door, clock=clock)
        except InvalidInput as error:
            raise InvalidInput("path", f"{path} {error.problem} (read as {format_name})") from None
        except OSError as error:
            raise StorageFailed(f"{path} cannot be read to its end ({error.strerror}); try again") from error
    if report.rows == 0:
        raise InvalidInput("path", f"{path} has no good row (read as {format_name}){_first_problem(report)}")
    return report


def import_items(items: Iterable[Item], name: str, *, log: Log, door: Door, clock: Clock) -> ImportReport:
    """Import rows from anywhere as the data set ``name``; see :func:`import_file`.

    Raises:
        InvalidInput: the name is no name.
        StorageFailed: the log failed; importing again goes on where this ended.
    """
    check_name(name)
    added = already_there = bad_count = 0
    bad: list[BadRow] = []
    redactions: Counter[str] = Counter()
    batch: list[Event] = []
    with Occurrences() as seen:
        importing = _Importing(name, log, door, clock, seen)
        for item in items:
            told = importing.tell(item)
            if isinstance(told, BadRow):
                bad_count += 1
                bad.extend([told] if bad_count <= BAD_ROWS_KEPT else [])
                continue
            added, already_there = added + bool(told.events), already_there + (not told.events)
            redactions.update(told.redactions)
            batch += told.events
            if len(batch) >= BATCH:
                log.append(batch)
                batch = []
    if batch:
        log.append(batch)
    return ImportReport(added + already_there, added, already_there, bad, bad_count, dict(redactions))


class _Importing:
    """One run: gives rows their identifiers and times."""

    def __init__(self, name: str, log: Log, door: Door, clock: Clock, seen: Occurrences) -> None:
        self._name = name
        self._log = log
        self._door = door
        self._now = self._next_time = clock.now()
        self._seen = seen

    def tell(self, item: Item) -> Draft | BadRow:
        """The events of ``item`` that the log does not hold yet, or why it is kept out."""
        if isinstance(item, BadRow):
            return item
        try:
            check_row(item, now=self._now)
            return self._tell_row(item) if isinstance(item, Row) else self._tell_dialogue(item)
        except InvalidInput as error:
            return BadRow(item.number, str(error))

    def _tell_row(self, row: Row) -> Draft:
        dataset = self._name + row.part
        draft = self._begin(dataset, self._count(dataset, row.text, row.label))
        draft.tell_row(row, self._next_time)
        self._next_time += 1
        return draft

    def _tell_dialogue(self, dialogue: Dialogue) -> Draft:
        if dialogue.conversation_id is None:
            said = [part for turn in dialogue.turns for part in (turn.speaker, turn.text)]
            key = self._count(self._name, str(dialogue.started), dialogue.customer_id or "", *said)
        else:
            key = dialogue.conversation_id
            if self._seen.add(key.encode()):
                raise InvalidInput(
                    "conversation_id", f"{key!r} stands in this file twice; put all its turns in one line"
                )
        draft = self._begin(self._name, key, dialogue.customer_id)
        draft.tell_dialogue(dialogue, self._next_time)
        self._next_time += len(dialogue.turns) + 2
        return draft

    def _count(self, *content: str) -> str:
        """A key for ``content``; equal content gets another one each time. Without the master key it tells nothing."""
        digest = self._door.digest(*content)
        occurrence = self._seen.add(bytes.fromhex(digest)[:16])
        return stable_id(digest, str(occurrence)).hex

    def _begin(self, dataset: str, key: str, customer_id: str | None = None) -> Draft:
        conversation_id = f"{dataset}:{key}"
        known = {record.event.event_id for record in self._log.conversation(conversation_id)}
        subject = subject_of(conversation_id, customer_id)
        return Draft(conversation_id, subject, f"import:{dataset}", self._door, known)


@contextmanager
def _opened(path: Path, format_name: str) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size in bytes."""
    try:
        state = path.stat()
        if not S_ISREG(state.st_mode):
            raise InvalidInput("path", f"{path} is no file; name a single {format_name} file")
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        raise InvalidInput("path", f"{path} cannot be read ({problem}); name a {format_name} file") from None
    with stream:
        if state.st_size == 0:
            raise InvalidInput(
                "path", f"{path} is empty; name a file of the format {format_name} with at least one row"
            )
        yield stream, state.st_size


def _watched(
    items: Iterator[Item], stream: BinaryIO, size: int, progress: Callable[[int, int], None]
) -> Iterator[Item]:
    for count, item in enumerate(items):
        if count % _PROGRESS_EVERY == 0:
            progress(stream.tell(), size)
        yield item
    progress(size, size)


def _first_problem(report: ImportReport) -> str:
    if not report.bad:
        return "; it needs at least one"
    first = report.bad[0]
    return f"; all {report.bad_count} were kept out, the first at {first.number}: {first.problem}"
