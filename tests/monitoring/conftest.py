"""An installation in small: definitions, a model of each kind, conversations, decisions."""

from __future__ import annotations

import random
from contextlib import closing
from functools import partial
from uuid import UUID

import msgspec
import pytest

from headset.core.clock import ManualClock
from headset.core.ids import Ids, stable_id
from headset.events.memory import MemoryLog
from headset.events.projection import Projector
from headset.events.schema import (
    ConversationStarted,
    DecisionServed,
    DecisionShadowed,
    Event,
    FeatureServiceApplied,
    FeatureViewApplied,
    FeatureViewRemoved,
    ModelRegistered,
    TurnReceived,
)
from headset.features.aggregation import Count, Mean
from headset.features.catalogue import Catalogue
from headset.features.definition import Feature, FeatureService, FeatureView
from headset.features.expression import column, seconds_since
from headset.features.on_demand import OnDemandFeature
from headset.feedback.record import DecisionRecord
from headset.feedback.table import DecisionTable
from headset.monitoring.lineage.query import trace
from headset.registry.seal import Seal
from headset.registry.store import Registry

SECOND = 1_000_000
NOON = 1_800_014_400 * SECOND
DECISION, SHADOW = str(UUID(int=501)), str(UUID(int=502))
CODE, OTHER_CODE = "c0de" * 10, "beef" * 10
MOOD = FeatureView(
    name="mood",
    entity="conversation",
    event="TurnReceived",
    filter=column("speaker").equals("customer"),
    features=(
        Feature(name="sentiment", expression=column("sentiment"), aggregation=Mean(), window="1 h"),
        Feature(name="turns", aggregation=Count(), window="conversation"),
    ),
    owner="care",
    description="How the customer sounds.",
)
HABIT = FeatureView(
    name="habit",
    entity="customer",
    event="TurnReceived",
    features=(
        Feature(name="turns", aggregation=Count(), window="1 d"),
        Feature(
            name="wait",
            expression=seconds_since("HandoffRequested"),
            aggregation=Mean(),
            window="1 h",
        ),
    ),
    owner="crm",
    description="How often the customer writes.",
)
SERVICE = FeatureService(
    name="risk",
    views=(MOOD, HABIT),
    only=("mood.sentiment", "mood.turns", "habit.turns"),
    on_demand=(OnDemandFeature(name="fell", expression=column("sentiment") < column("mood.sentiment")),),
    owner="care",
    description="What the risk model reads.",
)


class World:
    """What the tests ask about."""

    def __init__(self, folder, save_artifact, *, seed):
        self.save_artifact = save_artifact
        self.clock = ManualClock(NOON - 3 * 86_400 * SECOND)
        self.log = MemoryLog(self.clock)
        self.folder = folder
        ids = Ids(self.clock, random.Random(seed))
        self.registry = Registry(
            self.log, folder / "models", self.clock, ids, Seal(lambda *parts: stable_id(*parts).hex)
        )
        self.catalogue = Catalogue(self.log, folder, self.clock, ids)
        self.record = Projector(self.log, DecisionRecord(), folder / "decisions.db")
        self.count = 0

    def tell(self, payload, *, at=NOON, of=None, subject="x", event_id=None):
        self.count += 1
        event = Event(
            event_id=UUID(event_id) if event_id else UUID(int=self.count),
            event_time=at,
            subject=subject,
            conversation_id=of,
            source="test",
            payload=payload,
        )
        return self.log.append([event])[0]

    def say(self, turn_id, after_s, *, of="c-1", speaker="customer", subject="customer:ana", **more):
        turn = TurnReceived(turn_id=turn_id, position=0, speaker=speaker, text="sealed", **more)
        return self.tell(turn, at=NOON + after_s * SECOND, of=of, subject=subject)

    def apply(self, view, commit=CODE):
        definition = msgspec.json.encode(view).decode()
        told = FeatureServiceApplied if isinstance(view, FeatureService) else FeatureViewApplied
        self.tell(told(name=view.name, version=view.version, definition=definition, commit=commit), at=self.clock.now())

    def register(self, model, **changes):
        artifact = self.folder / "artifact"
        sha256 = self.save_artifact(artifact, weights=model)
        fields = {
            "version": "",
            "artifact_sha256": sha256,
            "run_id": f"run-{model}",
            "dataset": "bank",
            "data_fingerprint": "cd" * 32,
            "commit": CODE,
            "seed": 7,
            "metrics": {"accuracy": 0.9},
            "encoder_version": "minilm-1",
        }
        return self.registry.register(ModelRegistered(model=model, **(fields | changes)), artifact).version

    def decisions(self):
        self.record.catch_up()
        return closing(DecisionTable(self.folder / "decisions.db", self.folder / "days").open())

    def trace(self, name, **more):
        parts = {"log": self.log, "catalogue": self.catalogue, "registry": self.registry}
        return trace(name, **parts, decisions=self.decisions, **more)

    def close(self):
        self.record.close()
        self.catalogue.close()


@pytest.fixture
def world(tmp_path, seed, save_artifact, crown):
    world = World(tmp_path, save_artifact, seed=seed)
    for definition in (MOOD, HABIT, SERVICE):
        world.apply(definition)
    world.clock.advance(1)
    world.register("intent")
    world.register(
        "risk",
        dataset="satisfaction",
        commit=OTHER_CODE,
        feature_service="risk",
        features=SERVICE.versions,
        data_position=world.log.head(),
    )
    crown(world.registry, "1")
    world.clock.advance(3 * 86_400 - 100)
    world.say("t0", -90_000, of="c-0")  # before the customer's day
    world.say("t1", -50_000, of="c-0")
    started = ConversationStarted(queue="billing", segment="region=north", customer_id="ana")
    world.tell(started, at=NOON - 61 * SECOND, of="c-1", subject="customer:ana")
    world.say("a", -60, sentiment=-0.5)
    world.say("b", -30, speaker="agent", speaker_id="kim")
    world.say("c", -20, subject="customer:bob", of="c-2")
    position = world.log.head()
    world.say("late", -10)  # happened before the decided turn, but the features had not heard of it
    world.say("d", 0, sentiment_version="vader-1", queue="billing")
    world.clock.advance(100)
    served = partial(
        DecisionServed,
        decision_id=DECISION,
        turn_id="d",
        position=3,
        model="intent",
        model_version="1",
        arm="champion",
        intent="refund",
        confidence=0.9,
        route="human",
        reason="at_risk",
        latency_ms=2.0,
        queue="billing",
        feature_versions={"embedding": "minilm-1", **SERVICE.versions},
        feature_hash="f00d",
        feature_position=position,
        risk=0.8,
        risk_version="1",
    )
    world.tell(served(), of="c-1", subject="customer:ana", event_id=DECISION)
    world.position = position
    world.served = served
    shadowed = DecisionShadowed(
        decision_id=SHADOW,
        shadow_of=DECISION,
        turn_id="d",
        model="intent",
        model_version="9",
        intent=None,
        confidence=0,
        route="human",
        latency_ms=1.0,
    )
    world.tell(shadowed, of="c-1", subject="customer:ana", event_id=SHADOW)
    yield world
    world.close()


@pytest.fixture
def removed():
    """``removed(view)``: the news that it is computed no more."""
    return lambda view: FeatureViewRemoved(name=view.name, version=view.version)
