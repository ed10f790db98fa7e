"""A whole service in the test's own process, with a predictor that the test controls."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
import pytest
from litestar.testing import TestClient

from headset import process
from headset.app import Installation
from headset.core.config import Config, DecisionConfig, ServerConfig
from headset.events.schema import Alternative
from headset.process import open_service
from headset.serving.api import create_api
from headset.serving.metrics import Metrics
from headset.serving.prediction import Prediction


class HashEncoder:
    """A stand-in: equal texts have equal vectors."""

    version = "hash-1"
    dim = 8

    def encode(self, texts):
        seeds = [zlib.crc32(text.encode()) for text in texts]
        rows = [np.random.default_rng(seed).standard_normal(self.dim) for seed in seeds]
        return np.array(rows, np.float32).reshape(len(texts), self.dim)


def says(intent="refund", confidence=0.99, sentiment=0.0, suggestions=(), version="1"):
    return Prediction(
        intent=intent,
        confidence=confidence,
        threshold=0.7,
        alternatives=[Alternative("other", 1 - confidence)],
        scope=1.0,
        sentiment=sentiment,
        suggestions=list(suggestions),
        model_version=version,
        feature_versions={"embedding": "hash-1"},
        feature_values={"sentiment": sentiment},
    )


@dataclass
class ScriptedPredictor:
    """Answers every text with ``answer(text)``; the test exchanges it."""

    answer: object = field(default=lambda _: says())
    model_version: str = "1"
    risk: object = None

    def refresh_replies(self, connection, vault):
        """This one knows no replies."""

    def predict(self, turns):
        predictions = [self.answer(turn.text) for turn in turns]
        return predictions if self.risk is None else self.risk.assess(turns, predictions)


@pytest.fixture
def predictor():
    return ScriptedPredictor()


@pytest.fixture
def config(tmp_path):
    decision = DecisionConfig(stall_ms=600, turn_limit=50, human=("close_account",))
    return Config(
        home=tmp_path / "home", decision=decision, server=ServerConfig(body_limit=100_000, in_progress_limit=64)
    )


@pytest.fixture
def parts(config, predictor, monkeypatch):
    """An installation; closed by the service that uses it."""
    monkeypatch.setattr(
        process,
        "predictor",
        lambda parts, model, serving: None if serving else predictor,
    )
    monkeypatch.setattr(Installation, "encoder", HashEncoder())
    return Installation(config)


@pytest.fixture
def anonymous(parts, config):
    """A client without a key."""
    metrics = Metrics()

    async def start():
        return await open_service(parts, metrics)

    with TestClient(create_api(start, metrics, body_limit=config.server.body_limit)) as client:
        yield client


@pytest.fixture
def key(parts):
    return parts.development_key()


@pytest.fixture
def client(anonymous, key):
    """A client that may do everything."""
    anonymous.headers["Authorization"] = f"Bearer {key}"
    return anonymous


@pytest.fixture
def say(client):
    """Post one customer turn."""

    def post(text="where is my refund", conversation="c-1", **fields):
        return client.post(f"/v1/conversations/{conversation}/turns", json={"text": text, **fields})

    return post
