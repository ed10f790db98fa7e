"""A log of made-up conversations, for tests of what follows it."""

from __future__ import annotations

from uuid import UUID

import numpy as np

from headset.core.clock import ManualClock
from headset.events.memory import MemoryLog
from headset.events.place import placed
from headset.events.schema import ConversationStarted, Event, SubjectErased, TurnReceived
from headset.events.vault import Vault
from headset.features.aggregation import Count, Last, Mean, VectorMean
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column
from headset.features.signal import SignalReader, pack

NOON = 1_800_014_400_000_000
SECOND = 1_000_000

MOOD = FeatureView(
    name="mood",
    entity="conversation",
    event="TurnReceived",
    owner="care",
    description="How the customer sounds.",
    filter=column("speaker").equals("customer"),
    features=(
        Feature(name="turns", aggregation=Count(), window="conversation"),
        Feature(name="sentiment", expression=column("sentiment"), aggregation=Mean(), window="1 h"),
        Feature(name="last", expression=column("sentiment"), aggregation=Last(), window="1 h"),
        Feature(name="about", expression=column("embedding"), aggregation=VectorMean(8), window="conversation"),
    ),
)
VISITS = FeatureView(
    name="visits",
    entity="customer",
    event="ConversationStarted",
    owner="care",
    description="How often they come.",
    features=(Feature(name="begun", aggregation=Count(), window="7 d"),),
)


class LetterEncoder:
    """A stand-in: counts of eight letters."""

    version = "letters-1"
    dim = 8

    def encode(self, texts):
        return np.array([[text.count(letter) for letter in "aeioutns"] for text in texts], np.float32)


class LengthSentiment:
    """A stand-in: long texts are unhappy."""

    version = "length-1"

    def score(self, text):
        return max(-1.0, 1 - len(text) / 20)


class Told:
    """A log, and what is needed to tell and to read it."""

    def __init__(self, folder):
        self.clock = ManualClock(NOON)
        self.log = MemoryLog(self.clock)
        self.vault = Vault(folder / "keys.db", bytes(32))
        self.signals = SignalReader(self.vault, LetterEncoder(), LengthSentiment())
        self._number = 0

    def tell(self, payload, conversation=None, customer="ana", *, event_id=None, time=None):
        """Append one event; it gives the event's offset."""
        self._number += 1
        event = Event(
            event_id=event_id or UUID(int=self._number),
            event_time=self.clock.now() if time is None else time,
            subject=f"customer:{customer}",
            source="test",
            conversation_id=conversation,
            payload=placed(payload, "front", None),
        )
        return self.log.append([event])[0]

    def start(self, conversation="c-1", customer="ana"):
        return self.tell(ConversationStarted(customer_id=customer), conversation, customer)

    def say(self, text, conversation="c-1", customer="ana", position=0, *, kept=False, **fields):
        """One customer turn; ``kept`` with the signals, as the server keeps them."""
        subject = f"customer:{customer}"
        turn = TurnReceived(
            turn_id=str(position + 1),
            position=position,
            speaker="customer",
            text=self.vault.seal(subject, text),
        )
        if kept:
            vector, mood = LetterEncoder().encode([text])[0], LengthSentiment().score(text)
            turn = TurnReceived(
                turn_id=turn.turn_id,
                position=position,
                speaker="customer",
                text=turn.text,
                sentiment=mood,
                sentiment_version=LengthSentiment.version,
                embedding=self.vault.seal_bytes(subject, pack(vector)),
                encoder_version=LetterEncoder.version,
            )
        return self.tell(turn, conversation, customer, **fields)

    def erase(self, customer="ana"):
        subject = f"customer:{customer}"
        self.vault.destroy(subject)
        self.tell(SubjectErased(requested_by="test", reason="asked"), customer=customer)
