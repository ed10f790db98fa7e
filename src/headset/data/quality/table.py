"""Labelled texts as one frame, in bounded memory however long the log.

What counts over all rows (how many, of which label, which texts are equal) is kept as a few bytes for each; the
texts themselves are sampled past a limit. The sample is decided by the words of a text alone, so texts that
differ in order, case, digits and punctuation only are in it together, and equal data give an equal sample.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from headset.core.errors import InvalidInput, TextErased
from headset.data.dataset import check_dataset
from headset.events.place import segment_of
from headset.events.schema import ConversationStarted, LabelRecorded, TurnReceived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from headset.events.log import Log
    from headset.events.schema import Event
    from headset.events.vault import Vault

TEXTS_LIMIT = 200_000
"""Texts that are looked at one by one, unless told otherwise: short ones take some 200 MB."""

COPIES_LIMIT = 100
"""Rows of one set of words that a sample holds at most."""

SCHEMA = pl.Schema(
    {
        "id": pl.String,
        "text": pl.String,
        "label": pl.String,
        "time": pl.Int64,
        "language": pl.String,
        "channel": pl.String,
        "queue": pl.String,
        "attributes": pl.String,
    }
)
"""Columns of the frame; ``time`` is in microseconds since the epoch, ``attributes`` as ``region=north,tenure=new``."""

REQUIRED = ("text", "label")

_PAGE = 5_000
_WORD = re.compile(r"[^\W\d_]+")
_ALL = 1 << 64


class LabelledTable(Struct, frozen=True):
    """A data set, ready to be checked.

    Attributes:
        name: Of the data set.
        frame: The sampled rows, sorted by id, with the columns of :data:`SCHEMA`; what is unknown is null.
        rows: All rows there are.
        labels: How many of all rows bear each label; a missing label counts as the empty one.
        keys: (rows,) uint64; equal where texts differ in case and spaces at most; 0 where there is no text.
        codes: (rows,) int32; places in ``labels``, in its order.
        share: Part of all sets of words that the sample looks at; 1 where nothing was left out.
        erased: Labelled texts that are gone because their subject was erased.
    """

    name: str
    frame: pl.DataFrame
    rows: int
    labels: dict[str, int]
    keys: NDArray[np.uint64]
    codes: NDArray[np.int32]
    share: float = 1.0
    erased: int = 0

    @property
    def sampled(self) -> bool:
        """Whether rows were left out of ``frame``."""
        return self.frame.height < self.rows


def table_of(frame: pl.DataFrame, name: str, *, limit: int = TEXTS_LIMIT) -> LabelledTable:
    """A table of rows from anywhere, such as a CSV file read by polars.

    Args:
        frame: At least ``text`` and ``label``; others of :data:`SCHEMA` where known. Rows without ``id`` are
            named by their number, counted from 1.
        name: Of the data set.
        limit: Texts that are looked at one by one.

    Raises:
        InvalidInput: a required column is missing, or a column has another type.

    >>> table_of(pl.DataFrame({"text": ["My bill is wrong"], "label": ["bill"]}), "mine").labels
    {'bill': 1}
    """
    missing = [column for column in REQUIRED if column not in frame.columns]
    if missing:
        raise InvalidInput(
            "columns", f"lack {', '.join(missing)}; there are {', '.join(frame.columns)[:200] or 'none'}"
        )
    building = _Building(name, limit)
    whole = _typed(frame)
    for row in whole.iter_rows():
        building.add(row)
    return building.table()


def read_table(
    log: Log,
    vault: Vault,
    name: str,
    *,
    limit: int = TEXTS_LIMIT,
    progress: Callable[[float], None] | None = None,
) -> LabelledTable:
    """The data set ``name`` from the log; of several labels of one turn the latest holds.

    Memory: some 32 bytes for each label, and the sample.

    Args:
        log: Where it was imported.
        vault: Opens the texts.
        name: Of the data set.
        limit: Texts that are looked at one by one.
        progress: Called with the fraction of the log that was read.

    Raises:
        NotFound: no labelled text was imported under that name; the message lists the names that exist.
    """
    check_dataset(log, name)
    source, head = f"import:{name}", max(log.head(), 1)
    told = progress or (lambda _fraction: None)
    labels = _Labels(_events(log, "LabelRecorded", source, lambda at: told(at / head / 3)))
    building = _Building(name, limit)
    for event in _events(log, "TurnReceived", source, lambda at: told((1 + at / head) / 3)):
        turn = event.payload
        if not isinstance(turn, TurnReceived):
            continue
        place = f"{event.conversation_id}#{turn.turn_id}"
        if (label := labels.get(place)) is None:
            continue
        try:
            text = vault.open(event.subject, turn.text)
        except TextErased:
            building.erased += 1
        else:
            building.add((place, text, label, event.event_time, None, None, turn.queue, turn.segment))
    table = building.table()
    started = _events(log, "ConversationStarted", source, lambda at: told((2 + at / head) / 3))
    found = _with_conversations(table, started)
    told(1.0)
    return found


def text_key(text: str) -> int:
    """64 bits that are equal for texts that differ in case and spaces at most; never 0.

    >>> text_key("Where is  my card?") == text_key("where is my card? ")
    True
    """
    return _hash(" ".join(text.casefold().split())) or 1


def _words_key(text: str) -> int:
    """64 bits that are equal for texts of the same words."""
    return _hash(" ".join(sorted(set(_WORD.findall(text.casefold())))))


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


_Row = tuple[str, str | None, str | None, int | None, str | None, str | None, str | None, str | None]


class _Building:
    """Takes rows one by one; halves its sample whenever it grows past the limit."""

    def __init__(self, name: str, limit: int) -> None:
        if limit < 1:
            raise InvalidInput("rows", f"is {limit}; look at one text at least")
        self._name = name
        self._limit = limit
        self._codes_of: dict[str, int] = {}
        self._keys: list[NDArray[np.uint64]] = []
        self._codes: list[NDArray[np.int32]] = []
        self._page: list[tuple[int, int]] = []
        self._kept: dict[int, list[_Row]] = {}
        self._size = 0
        self._below = _ALL
        self.erased = 0

    def add(self, row: _Row) -> None:
        text, label = row[1] or "", row[2] or ""
        code = self._codes_of.setdefault(label, len(self._codes_of))
        self._page.append((text_key(text) if text.strip() else 0, code))
        if len(self._page) == _PAGE:
            self._pack()
        words = _words_key(text)
        if words >= self._below:
            return
        copies = self._kept.setdefault(words, [])
        if len(copies) < COPIES_LIMIT:
            copies.append(row)
            self._size += 1
        while self._size > self._limit and min(self._kept) < self._below >> 1:
            self._halve()

    def table(self) -> LabelledTable:
        self._pack()
        codes = np.concatenate([np.empty(0, np.int32), *self._codes])
        counts = np.bincount(codes, minlength=len(self._codes_of))
        rows = [row for copies in self._kept.values() for row in copies]
        return LabelledTable(
            name=self._name,
            frame=pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("id"),
            rows=len(codes),
            labels=dict(zip(self._codes_of, map(int, counts), strict=True)),
            keys=np.concatenate([np.empty(0, np.uint64), *self._keys]),
            codes=codes,
            share=self._below / _ALL,
            erased=self.erased,
        )

    def _pack(self) -> None:
        self._keys.append(np.array([key for key, _ in self._page], np.uint64))
        self._codes.append(np.array([code for _, code in self._page], np.int32))
        self._page.clear()

    def _halve(self) -> None:
        self._below >>= 1
        self._kept = {words: rows for words, rows in self._kept.items() if words < self._below}
        self._size = sum(map(len, self._kept.values()))


class _Labels:
    """The latest intent label of each turn: 20 bytes for each."""

    def __init__(self, events: Iterator[Event]) -> None:
        codes: dict[str, int] = {}
        pages = [np.empty(0, _LABEL)]
        page: list[tuple[int, int, int]] = []
        for event in events:
            label = event.payload
            if isinstance(label, LabelRecorded) and label.kind == "intent" and label.turn_id is not None:
                place = _hash(f"{event.conversation_id}#{label.turn_id}")
                page.append((place, event.event_time, codes.setdefault(label.value, len(codes))))
            if len(page) == _PAGE:
                pages.append(np.array(page, _LABEL))
                page.clear()
        found = np.concatenate([*pages, np.array(page, _LABEL)])
        found = found[np.lexsort((found["time"], found["place"]))]
        last = np.append(found["place"][1:] != found["place"][:-1], True)[: len(found)]
        self._names = list(codes)
        self._places, self._codes = found["place"][last], found["code"][last]

    def get(self, place: str) -> str | None:
        wanted = np.uint64(_hash(place))
        at = int(np.searchsorted(self._places, wanted))
        return self._names[self._codes[at]] if at < len(self._places) and self._places[at] == wanted else None


_LABEL = np.dtype([("place", np.uint64), ("time", np.int64), ("code", np.int32)])


def _with_conversations(table: LabelledTable, events: Iterable[Event]) -> LabelledTable:
    """The table with what the starts of its conversations say."""
    frame = table.frame.with_columns(conversation=pl.col("id").str.extract(r"^(.*)#"))
    wanted = set(frame["conversation"])
    rows = [
        (event.conversation_id, start.language, start.channel, start.queue, segment_of(start.attributes))
        for event in events
        if isinstance(start := event.payload, ConversationStarted) and event.conversation_id in wanted
    ]
    columns = ("language", "channel", "queue", "attributes")
    starts = pl.DataFrame(
        rows, schema=dict.fromkeys(("conversation", *(f"{name}_started" for name in columns)), pl.String), orient="row"
    ).unique("conversation", keep="last", maintain_order=True)
    joined = frame.join(starts, on="conversation", how="left", maintain_order="left")
    told = [pl.coalesce(f"{name}_started", name).alias(name) for name in columns]
    return replace(table, frame=joined.with_columns(told).select(SCHEMA.names()))


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of :data:`SCHEMA` in its order, with an id for each row."""
    given = frame.select(
        pl.col(name).dt.epoch("us") if isinstance(frame.schema[name], pl.Datetime) else pl.col(name)
        for name in SCHEMA.names()
        if name in frame.columns
    )
    try:
        cast = given.cast({name: SCHEMA[name] for name in given.columns})
    except pl.exceptions.PolarsError as error:
        raise InvalidInput("columns", f"are of other types than {dict(SCHEMA)} ({str(error)[:200]})") from None
    numbers = pl.int_range(1, pl.len() + 1).cast(pl.String)
    ids = pl.coalesce("id", numbers) if "id" in cast.columns else numbers
    absent = [pl.lit(None, SCHEMA[name]).alias(name) for name in SCHEMA.names() if name not in cast.columns]
    return cast.with_columns(*absent).with_columns(ids.alias("id")).select(SCHEMA.names())


def _events(log: Log, event_type: str, source: str, told: Callable[[int], None]) -> Iterator[Event]:
    after = 0
    while records := log.read(after, _PAGE, types=(event_type,), source=source):
        for record in records:
            yield record.event
        after = records[-1].offset
        told(after)
