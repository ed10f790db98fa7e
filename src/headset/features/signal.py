"""Signals: numbers computed from what a customer says, once, and kept with the turn under the version that made them.

Features fold these numbers and never the text. A turn that bears none, or those of another version, has them computed
from its text again; whoever asks gets the same numbers either way. Where the text was erased, there are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headset.core.errors import StorageFailed, TextErased
from headset.events.schema import TurnReceived
from headset.features.fact import FactReader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from headset.events.log import Record
    from headset.events.schema import Event
    from headset.events.vault import Vault
    from headset.features.encoder import Encoder
    from headset.features.fact import Fact
    from headset.features.sentiment import Sentiment

READ = 4_000
"""Characters of a turn that are read, from its beginning."""

SIGNALS = ("embedding", "sentiment")


def pack(vector: NDArray[np.float32]) -> bytes:
    """A vector in 8 bits a number: a float32 scale, then int8 multiples of it, the largest 127.

    >>> packed = pack(np.array([0.5, -0.25, 0.0], np.float32))
    >>> len(packed), unpack(packed).round(2).tolist()
    (7, [0.5, -0.25, 0.0])
    """
    largest = np.abs(vector).max(initial=0.0)
    scale = np.float32(largest / 127)
    whole = np.rint(vector / scale) if scale > 0 else np.zeros(len(vector))
    return scale.tobytes() + np.clip(whole, -127, 127).astype(np.int8).tobytes()


def unpack(packed: bytes) -> NDArray[np.float32]:
    """What :func:`pack` made, as float32."""
    scale = np.frombuffer(packed, "<f4", 1)[0]
    numbers: NDArray[np.float32] = np.frombuffer(packed, np.int8, offset=4).astype(np.float32)
    numbers *= scale
    return numbers


class SignalReader:
    """Reads the log's events as facts, with the signals of customers' turns.

    Args:
        vault: Opens embeddings and texts.
        encoder: Embeds texts.
        sentiment: Scores texts.

    Attributes:
        versions: The version of each signal.
        refused: What was left out so far; see :class:`~headset.features.fact.FactReader`.
        erased: The keys of facts whose signals are lost with their texts, as ``(entity, key)``.
    """

    def __init__(self, vault: Vault, encoder: Encoder, sentiment: Sentiment) -> None:
        self._vault = vault
        self._encoder = encoder
        self._sentiment = sentiment
        self._facts = FactReader()
        self.versions = {"embedding": encoder.version, "sentiment": sentiment.version}
        self.refused = self._facts.refused
        self.erased: set[tuple[str, str]] = set()

    def facts(self, records: Iterable[Record], signals: Collection[str] = SIGNALS) -> list[Fact]:
        """The facts of ``records``, in order; events that are none, or bear an impossible time, are left out.

        Args:
            records: Records of the log.
            signals: The signals wanted; computing others is spared.

        Raises:
            StorageFailed: a text or an embedding is damaged.
        """
        found = []
        for record in records:
            event = record.event
            computed = self.signals(event, signals) if isinstance(event.payload, TurnReceived) else {}
            fact = self._facts.read(event, offset=record.offset, signals=computed)
            if fact is not None:
                found.append(fact)
                if any(value is None for value in computed.values()):
                    self.erased.update(fact.keys.items())
        return found

    def compute(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[float]]:
        """The embeddings (n, dim) and the sentiments of n texts, of which :data:`READ` characters count."""
        read = [text[:READ] for text in texts]
        return self._encoder.encode(read), [self._sentiment.score(text) for text in read]

    def signals(self, event: Event, wanted: Collection[str] = SIGNALS) -> dict[str, Any]:
        """The signals of a turn: those kept with it, else computed from its text; None where that was erased."""
        turn = event.payload
        if not isinstance(turn, TurnReceived) or turn.speaker != "customer":
            return {}
        found: dict[str, Any] = {}
        try:
            if "embedding" in wanted:
                found["embedding"] = self._embedding(event.subject, turn)
            if "sentiment" in wanted:
                found["sentiment"] = self._mood(event.subject, turn)
        except TextErased:
            found |= dict.fromkeys(set(wanted) - set(found))
        return found

    def _embedding(self, subject: str, turn: TurnReceived) -> NDArray[np.float32]:
        if turn.embedding is not None and turn.encoder_version == self._encoder.version:
            packed = self._vault.open_bytes(subject, turn.embedding)
            if len(packed) != 4 + self._encoder.dim:
                raise StorageFailed(
                    f"the embedding of turn {turn.turn_id!r} has another length than {turn.encoder_version}"
                )
            return unpack(packed)
        text = self._vault.open(subject, turn.text)
        return unpack(pack(self._encoder.encode([text[:READ]])[0]))

    def _mood(self, subject: str, turn: TurnReceived) -> float:
        if turn.sentiment is not None and turn.sentiment_version in {"", self._sentiment.version}:
            return turn.sentiment
        return self._sentiment.score(self._vault.open(subject, turn.text)[:READ])
