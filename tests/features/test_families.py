"""The shipped families: hand-computed values of one afternoon, and both executions over a random centre."""

from __future__ import annotations

from random import Random
from uuid import UUID

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from msgspec import structs

from headset.core.errors import InvalidInput
from headset.events.schema import (
    ConversationStarted,
    DecisionServed,
    Event,
    FeedbackRecorded,
    HandoffAccepted,
    HandoffRequested,
    OutcomeRecorded,
    TurnReceived,
)
from headset.features.batch import History
from headset.features.definition import FeatureService
from headset.features.fact import FactReader
from headset.features.families import risk_service, shipped
from headset.features.incremental import Incremental
from headset.features.on_demand import evaluate

DIM = 3
NOON = 1_800_014_400_000_000
SECOND, MINUTE, DAY = 1_000_000, 60_000_000, 86_400_000_000
VIEWS = shipped(DIM)
ENTITIES = ("conversation", "customer", "agent", "queue")


class Centre:
    """Collects facts; ``tell`` takes seconds after noon."""

    def __init__(self):
        self.facts = []
        self._reader = FactReader()

    def tell(self, seconds, payload, conversation, customer, **signals):
        number = len(self.facts) + 1
        time = NOON + round(seconds * SECOND)
        event = Event(
            event_id=UUID(int=number), event_time=time, append_time=time, subject=f"customer:{customer}",
            source="test", conversation_id=conversation, payload=payload,
        )  # fmt: skip
        self.facts.append(self._reader.read(event, offset=number, signals=signals or None))

    def start(self, seconds, conversation="c", customer="ana", queue="cards", channel="chat", language="en"):
        started = ConversationStarted(
            queue=queue, channel=channel, language=language, customer_id=customer, segment="region=north"
        )
        self.tell(seconds, started, conversation, customer)

    def say(self, seconds, speaker, conversation="c", customer="ana", queue="cards", who=None, **signals):
        turn = TurnReceived(
            turn_id="1", position=0, speaker=speaker, text="sealed", speaker_id=who, queue=queue, segment="region=north"
        )
        self.tell(seconds, turn, conversation, customer, **signals)

    def decide(self, seconds, intent, confidence, conversation="c", customer="ana"):
        decision = DecisionServed(
            decision_id="d", turn_id="1", position=0, model="intent", model_version="1", arm="champion", intent=intent,
            confidence=confidence, route="bot", reason="confident", latency_ms=1.0,
        )  # fmt: skip
        self.tell(seconds, decision, conversation, customer)

    def read(self, view, key, seconds):
        """The values of a view, by the execution in memory."""
        store = Incremental([each for each in VIEWS if each.name == view], grace_us=100 * DAY)
        for fact in self.facts:
            store.update(fact)
        return store.read(view, key, NOON + round(seconds * SECOND))


@pytest.fixture(scope="module")
def afternoon():
    """Ana was here yesterday by e-mail, unhappily; today she chats and is handed to Kim."""
    centre = Centre()
    centre.start(-86_000, "old", queue="loans", channel="email", language="de")
    centre.say(-86_000, "customer", "old", queue="loans", sentiment=-0.5, embedding=[0, 0, 1])
    centre.tell(-80_000, OutcomeRecorded(resolution="unresolved", csat=2.0), "old", "ana")
    centre.start(0)
    centre.say(0, "customer", sentiment=0.5, embedding=[1, 0, 0])
    centre.decide(1, "lost_card", 0.75)
    centre.say(2, "bot")
    centre.say(30, "customer", sentiment=-0.75, embedding=[0, 1, 0])
    centre.decide(31, "lost_card", 0.25)
    centre.tell(
        32,
        HandoffRequested(
            decision_id="d", queue="cards", reason="low_confidence", summary="sealed", steps_tried=[], due_time=0
        ),
        "c",
        "ana",
    )
    centre.tell(48, HandoffAccepted(agent_id="kim", queue="cards"), "c", "ana")
    centre.say(70, "agent", who="kim")
    centre.tell(71, FeedbackRecorded(decision_id="d", action="overridden", agent_id="kim"), "c", "ana")
    return centre


@pytest.mark.parametrize(
    ("view", "key", "expected"),
    [
        ("session", "c", {"channel": "chat", "queue": "cards", "language": "en", "segment": "region=north",
                          "started": NOON / SECOND}),
        ("turns", "c", {"total": 4, "customer": 2.0, "agent": 1.0, "bot": 1.0, "last_speaker": "agent", "age": 70.0}),
        ("profile", "ana", {"language": "en", "channel": "chat", "segment": "region=north", "channels_30d": 2,
                            "queues_30d": 2, "queues_90d": 2}),
        ("outcomes", "ana", {"csat_mean": 2.0, "csat_last": 2.0, "known": 1, "unresolved": 1.0, "unresolved_share": 1.0,
                             "unresolved_last": True, "reopened": 0.0, "reopened_share": None}),
        ("agent_response", "kim", {"mean_1h": 40.0, "mean_1d": 40.0, "p90_1d": 40.0, "last": 40.0}),
        ("response", "c", {"mean": 40.0, "p90": 40.0, "longest": 40.0, "last": 40.0}),
        ("customer_response", "c", {"mean": 28.0, "last": 28.0}),
        ("demand", "cards", {"requests_15m": 1, "requests_1h": 1, "requests_1d": 1}),
        ("answers", "cards", {f"{name}_{short}": value for short in ("15m", "1h", "1d") for name, value in
                              (("answered", 1), ("mean", 16.0), ("p90", 16.0), ("within_20s", 1.0))}),
        ("visits", "ana", {"count_1d": 2, "count_7d": 2, "count_30d": 2, "count_90d": 2}),
        ("messages", "ana", {"count_1d": 3, "count_7d": 3, "count_30d": 3, "count_90d": 3}),
        ("escalations", "ana", {"count_1d": 1, "count_7d": 1, "count_30d": 1, "count_90d": 1}),
        ("volume", "cards", {"count_15m": 1, "count_1h": 1, "count_1d": 1}),
        ("customer_sentiment", "ana", {"mean_30d": -0.25, "min_30d": -0.75, "angry_share_30d": 2 / 3}),
        ("intent", "c", {"decisions": 2, "distinct": 1, "first": "lost_card", "last": "lost_card",
                         "confidence_last": 0.25, "confidence_mean": 0.5, "confidence_min": 0.25, "unsure_share": 0.5}),
        ("overrides", "c", {"feedback": 1, "count": 1.0, "share": 1.0, "edit_distance": None}),
        ("sentiment", "c", {"last": -0.75, "mean": -0.125, "min": -0.75, "max": 0.5, "angry_share": 0.5}),
    ],
)  # fmt: skip
def test_a_family_says_what_happened(afternoon, view, key, expected):
    found = afternoon.read(view, key, 120)
    assert {name: found[name] for name in expected} == expected
    assert set(found) - set(expected) <= {"ewma_fast", "ewma_slow", "confidence_ewma"}


@pytest.mark.parametrize(
    ("view", "key", "name", "expected"),
    [
        ("history", "c", "embedding", [0.5, 0.5, 0]),
        ("history", "c", "embedding_1h", [0.5, 0.5, 0]),
        ("history", "old", "embedding_1h", [0, 0, 0]),
        ("queue_domain", "cards", "embedding_1d", [0.5, 0.5, 0]),
        ("customer_domain", "ana", "embedding_30d", [1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_an_embedding_is_the_mean_of_what_customers_said(afternoon, view, key, name, expected):
    np.testing.assert_allclose(afternoon.read(view, key, 120)[name], expected, atol=1e-6)


def test_the_fast_mean_follows_sooner_than_the_slow_one(afternoon):
    found = afternoon.read("sentiment", "c", 120)
    assert found["ewma_fast"] < found["ewma_slow"] < found["mean"] + 0.01


def random_centre(seed):
    random, centre = Random(seed), Centre()
    for number in range(60):
        begun = random.uniform(0, 40 * 86_400)
        place = {
            "conversation": f"c-{number}", "customer": random.choice(("ana", "ben", "cy")),
        }  # fmt: skip
        queue = random.choice(("cards", "loans"))
        centre.start(begun, **place, queue=queue, channel=random.choice(("chat", "voice", "email")))
        for _ in range(random.randrange(1, 9)):
            begun += random.expovariate(1 / 60)
            speaker = random.choice(("customer", "agent", "bot"))
            said = {"sentiment": random.uniform(-1, 1), "embedding": [random.gauss(0, 1) for _ in range(DIM)]}
            who = random.choice(("kim", "lou")) if speaker == "agent" else None
            centre.say(begun, speaker, **place, queue=queue, who=who, **said if speaker == "customer" else {})
            if speaker == "customer":
                centre.decide(begun + 0.5, random.choice(("pay", "lost", None)), random.random(), **place)
            if random.random() < 0.3:
                asked = HandoffRequested(
                    decision_id="d", queue=queue, reason="sentiment", summary="x", steps_tried=[], due_time=0
                )
                centre.tell(begun + 1, asked, *place.values())
                taken = HandoffAccepted(agent_id="kim", queue=queue)
                centre.tell(begun + 1 + random.expovariate(1 / 20), taken, *place.values())
                action = random.choice(("accepted", "edited", "overridden"))
                feedback = FeedbackRecorded(
                    decision_id="d", action=action, agent_id="kim", edit_distance=random.random()
                )
                centre.tell(begun + 30, feedback, *place.values())
        outcome = OutcomeRecorded(
            resolution=random.choice(("resolved", "unresolved", None)), csat=random.choice((1.0, 4.0, None)),
            reopened=random.choice((True, False, None)),
        )  # fmt: skip
        centre.tell(begun + 3_600, outcome, *place.values())
    random.shuffle(centre.facts)
    return centre.facts


def test_both_executions_give_equal_values(seed):
    facts = random_centre(seed)
    online, history = Incremental(VIEWS, grace_us=200 * DAY), History()
    for fact in facts:
        online.update(fact)
    history.add(facts)
    random = Random(seed)
    asked = [
        {entity: fact.keys.get(entity) or "nobody" for entity in ENTITIES}
        | {"as_of": fact.event_time + random.choice((-1, 0, MINUTE, DAY))}
        for fact in random.choices(facts, k=120)
    ]
    found = history.values(VIEWS, pa.Table.from_pylist(asked)).to_pylist()
    for view in VIEWS:
        for row, values in zip(asked, found, strict=True):
            for name, value in online.read(view.name, row[view.entity], row["as_of"]).items():
                kept = values[f"{view.name}.{name}"]
                assert value.tolist() == kept if isinstance(value, np.ndarray) else value == kept, (view.name, name)


def test_every_view_and_feature_says_who_answers_for_it_and_what_for():
    assert len({view.name for view in VIEWS}) == len(VIEWS)
    for view in VIEWS:
        assert view.owner
        assert view.description.endswith(".")
        assert view.freshness in {"1 s", "10 s", "1 min"}


def test_definitions_are_data():
    service = risk_service(VIEWS)
    assert msgspec.json.decode(msgspec.json.encode(service), type=FeatureService).versions == service.versions


def test_another_encoder_makes_other_versions_of_embeddings_alone():
    changed = {view.name for view, other in zip(VIEWS, shipped(DIM + 1), strict=True) if view.version != other.version}
    assert changed == {"history", "queue_domain", "customer_domain"}


def test_the_risk_service_computes_trends_from_the_request(afternoon):
    service = risk_service(VIEWS)
    stored = {
        f"{view.name}.{name}": value
        for view in service.views
        for name, value in afternoon.read(view.name, {"conversation": "c", "customer": "ana"}[view.entity], 120).items()
    }
    request = {"sentiment": -1.0, "intent": "lost_card", "confidence": 0.25, "position": 4}
    found = evaluate(service, stored, request)
    expected = {
        "sentiment": -1.0, "sentiment_change": -0.875, "position": 4.0, "confidence": 0.25, "confidence_change": -0.25,
        "scope": None, "asked_again": True, "repeats": 1.0,
    }  # fmt: skip
    assert {name: found[f"on_demand.{name}"] for name in expected} == expected
    assert found["on_demand.sentiment_trend"] == stored["sentiment.ewma_fast"] - stored["sentiment.ewma_slow"]


def test_the_risk_service_misses_a_view_it_reads():
    with pytest.raises(InvalidInput, match=r"risk.only: names .*sentiment.last"):
        risk_service([view for view in VIEWS if view.name != "sentiment"])


def test_a_changed_threshold_is_another_version():
    (intent,) = (view for view in VIEWS if view.name == "intent")
    unsure = next(feature for feature in intent.features if feature.name == "unsure_share")
    other = structs.replace(intent, features=(structs.replace(unsure, window="1 h"),))
    assert other.versions["unsure_share"] != intent.versions["unsure_share"]
