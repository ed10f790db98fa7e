"""What the risk model learns from: each customer turn of conversations whose end is known, as it was then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headset.core.errors import InvalidInput, NotFound
from headset.events.schema import ConversationStarted, DecisionServed, TurnReceived
from headset.features.log_history import log_history
from headset.features.on_demand import REQUEST
from headset.features.training_set import build_training_set
from headset.training.risk.label import Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from headset.events.log import Log
    from headset.events.schema import Event
    from headset.features.definition import FeatureService
    from headset.features.fact import Kind
    from headset.features.signal import SignalReader
    from headset.features.training_set import TrainingSet

LEAST_CONVERSATIONS = 100
LEAST_PER_ENDING = 20

_PREFIX = "import:"
_PAGE = 5_000
_ENDINGS = ("LabelRecorded", "OutcomeRecorded")
_TOLD = ("ConversationStarted", "TurnReceived", "DecisionServed")
_TYPES: dict[Kind, pa.DataType] = {"number": pa.float64(), "flag": pa.bool_(), "word": pa.string()}


@dataclass(frozen=True, eq=False)
class RiskData:
    """n customer turns, those of one conversation together and in order.

    Attributes:
        columns: The values of each feature, by ``view.feature``: float64 with NaN for missing (numbers, flags), texts
            and None (words), or (n, d) float32.
        kinds: The kind of each.
        bad: (n,) whether the turn's conversation ended badly.
        conversations: (n,) number of the turn's conversation, from 0.
        last: (n,) whether it is the conversation's last customer turn.
        sentiment: (n,) of the turn; 0 where there is none.
        made: The training set: versions, position, fingerprint.
    """

    columns: dict[str, Any]
    kinds: dict[str, Kind]
    bad: NDArray[np.bool_]
    conversations: NDArray[np.int_]
    last: NDArray[np.bool_]
    sentiment: NDArray[np.float64]
    made: TrainingSet

    @property
    def endings(self) -> NDArray[np.bool_]:
        """(m,) whether each conversation ended badly."""
        return self.bad[self.last]

    def rows(self) -> list[Mapping[str, Any]]:
        """Each turn as the scorer takes it."""
        values = [column if isinstance(column, list) else list(column) for column in self.columns.values()]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*values, strict=True)]


def read_risk_data(
    log: Log,
    signals: SignalReader,
    service: FeatureService,
    name: str | None,
    *,
    progress: Callable[[float], None] = lambda _: None,
) -> RiskData:
    """Read the turns of the conversations imported as ``name``, or of all in the log.

    Each turn gets what the features were just before it, and what its own request would have said.

    Raises:
        NotFound: nothing was imported as ``name``.
        InvalidInput: too few conversations have a known end, or nearly all end alike.
    """
    source = None if name is None else _PREFIX + name
    endings = _endings(log, source, name)
    _check_enough(endings, name)
    rows = _turns(log, source, endings, signals)
    known = log_history(log, signals, service.views, progress=progress)
    try:
        made = build_training_set(
            service, _table(rows), history=known.history, position=known.position, newest=known.newest
        )
    finally:
        known.history.close()
    places = {key: place for place, key in enumerate(dict.fromkeys(row["conversation"] for row in rows))}
    conversations = np.array([places[row["conversation"]] for row in rows])
    return RiskData(
        columns={each: _values(made.table[each], kind) for each, kind in service.kinds.items()},
        kinds=service.kinds,
        bad=np.array([row["label"] for row in rows]),
        conversations=conversations,
        last=np.append(conversations[1:] != conversations[:-1], True),
        sentiment=np.array([row["sentiment"] or 0.0 for row in rows]),
        made=made,
    )


def _endings(log: Log, source: str | None, name: str | None) -> dict[str, Ending]:
    if source is not None and not log.read(limit=1, source=source):
        raise NotFound("data", f"nothing was imported as {name!r}; import it with 'headset import'")
    endings: dict[str, Ending] = {}
    for event in _read(log, _ENDINGS, source):
        if event.conversation_id is not None:
            endings.setdefault(event.conversation_id, Ending()).hear(event)
    return {conversation: ending for conversation, ending in endings.items() if ending.known_at is not None}


def _check_enough(endings: Mapping[str, Ending], name: str | None) -> None:
    where = "the log" if name is None else repr(name)
    bad = sum(bool(ending.is_bad) for ending in endings.values())
    if len(endings) < LEAST_CONVERSATIONS:
        raise InvalidInput(
            "data",
            f"{where} has {len(endings)} conversations whose end is known (a rating or an outcome), at least"
            f" {LEAST_CONVERSATIONS} are needed; import more",
        )
    for count, how in ((bad, "badly"), (len(endings) - bad, "well")):
        if count < LEAST_PER_ENDING:
            raise InvalidInput(
                "data",
                f"{count} of {len(endings)} conversations of {where} ended {how}, at least {LEAST_PER_ENDING} are"
                " needed to tell them apart; import more",
            )


def _turns(log: Log, source: str | None, endings: Mapping[str, Ending], signals: SignalReader) -> list[dict[str, Any]]:
    """The customer turns of conversations with a known end, by conversation and time, as rows of a training set."""
    began: dict[str, dict[str, Any]] = {}
    decided: dict[tuple[str, str], dict[str, Any]] = {}
    found: dict[str, list[tuple[int, bytes, dict[str, Any]]]] = {}
    for event in _read(log, _TOLD, source):
        conversation = event.conversation_id
        ending = None if conversation is None else endings.get(conversation)
        if conversation is None or ending is None:
            continue
        match event.payload:
            case ConversationStarted(channel=channel, language=language):
                began[conversation] = {"channel": channel, "language": language}
            case DecisionServed(turn_id=turn_id, intent=intent, confidence=confidence, scope=scope):
                decided[conversation, turn_id] = {"intent": intent, "confidence": confidence, "scope": scope}
            case TurnReceived(speaker="customer") as turn if event.event_time <= (ending.known_at or 0):
                row = _row(event, turn, conversation, ending, signals)
                found.setdefault(conversation, []).append((event.event_time, event.event_id.bytes, row))
            case _:
                pass
    return [
        began.get(conversation, {}) | decided.get((conversation, row["turn"]), {}) | row
        for conversation, turns in found.items()
        for _, _, row in sorted(turns, key=lambda turn: turn[:2])
    ]


def _row(event: Event, turn: TurnReceived, conversation: str, ending: Ending, signals: SignalReader) -> dict[str, Any]:
    kind, _, customer = event.subject.partition(":")
    return {
        "conversation": conversation,
        "customer": customer if kind == "customer" else None,
        "turn": turn.turn_id,
        "as_of": max(event.event_time - 1, 0),
        "label": ending.is_bad,
        "label_time": ending.known_at,
        "event_time": event.event_time / 1_000_000,
        "position": float(turn.position),
        "sentiment": signals.signals(event, {"sentiment"}).get("sentiment"),
        "queue": turn.queue,
        "segment": turn.segment,
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    kinds = {
        **dict.fromkeys(("conversation", "customer", "turn"), pa.string()),
        **{name: _TYPES[kind] for name, kind in REQUEST.items()},
        **dict.fromkeys(("as_of", "label_time"), pa.int64()),
        "label": pa.bool_(),
    }
    return pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in kinds.items()})


def _values(column: pa.ChunkedArray, kind: Kind) -> Any:  # noqa: ANN401 - by kind
    if kind == "word":
        return column.to_pylist()
    if kind == "vector":
        whole = column.combine_chunks()
        return whole.flatten().to_numpy().reshape(len(whole), -1)
    return column.cast(pa.float64()).to_numpy()


def _read(log: Log, types: Sequence[str], source: str | None) -> Iterator[Event]:
    after = 0
    while records := log.read(after, _PAGE, types=types, source=source):
        for record in records:
            yield record.event
        after = records[-1].offset
