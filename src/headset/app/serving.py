"""Registered models made ready to decide: champions, versions in shadow, and the bot of a simulated centre."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.app.models import text_model
from headset.core.errors import InvalidInput, NotFound
from headset.registry.evidence import CHAMPION

if TYPE_CHECKING:
    from collections.abc import Collection

    from headset.app.installation import Installation
    from headset.features.definition import FeatureService
    from headset.features.store import OnlineStore
    from headset.registry.risk import RiskScorer
    from headset.registry.store import ModelVersion
    from headset.serving.prediction import IntentPredictor, Predictor
    from headset.serving.risk import RiskPredictor
    from headset.twin.bot import BotVersion


def predictor(parts: Installation, model: str, serving: str) -> IntentPredictor | None:
    """A model's champion ready to predict, or None when ``serving`` is it already or there is none."""
    champion = parts.registry.champion(model)
    if champion is None or champion.version == serving:
        return None
    return _intent_predictor(parts, champion, suggestions=parts.config.decision.suggestions)


def shadow_predictor(parts: Installation, model: str, current: Predictor | None) -> Predictor | None:
    """A model's version in shadow ready to predict: ``current`` when it is that already, None when there is none.

    A version that is champion is not in shadow, wherever the alias points.
    """
    from headset.serving.shadow import ALIAS

    versions = parts.registry.versions(model)
    known = next((each for each in versions if ALIAS in each.aliases and CHAMPION not in each.aliases), None)
    if known is None:
        return None
    if current is not None and current.model_version == known.version:
        return current
    return _intent_predictor(parts, known, suggestions=0)


def _intent_predictor(parts: Installation, known: ModelVersion, *, suggestions: int) -> IntentPredictor:
    from headset.serving.prediction import IntentPredictor

    return IntentPredictor(
        text_model(parts, known, answer_s=parts.config.decision.stall_ms / 1_000),
        parts.encoders.of(known),
        parts.encoder,
        parts.sentiment,
        model_version=known.version,
        suggestions=suggestions,
    )


def risk_predictor(parts: Installation, store: OnlineStore, serving: str) -> RiskPredictor | None:
    """The champion of the risk model, reading from ``store``; None when ``serving`` is it or there is none.

    Raises:
        NotFound: a feature it reads is not live.
        ArtifactError: its files do not fit, or are damaged.
    """
    from headset.registry.artifact import check_recorded
    from headset.registry.risk import RiskScorer
    from headset.serving.risk import RiskPredictor

    champion = parts.registry.champion(parts.config.decision.risk_model)
    if champion is None or champion.version == serving:
        return None
    folder = parts.registry.artifact(champion.model, champion.version)
    check_recorded(folder, champion.made.artifact_sha256)
    scorer = RiskScorer.load(folder)
    scorer.check_features(champion.made.features)
    return RiskPredictor(scorer, _applied_service(parts, scorer), store, model_version=champion.version)


def service_of(parts: Installation, known: ModelVersion) -> FeatureService:
    """The feature service a registered risk model reads, made of live views."""
    from headset.registry.risk import RiskScorer

    return _applied_service(parts, RiskScorer.load(parts.registry.artifact(known.model, known.version)))


def _applied_service(parts: Installation, scorer: RiskScorer) -> FeatureService:
    service = parts.catalogue.applied(scorer.service, scorer.service_version)
    if service is None:
        raise NotFound(
            "service", f"{scorer.service!r} {scorer.service_version} was never applied here; train the model again"
        )
    return parts.catalogue.resolve(service)


def twin_version(parts: Installation, version: str, intents: Collection[str]) -> BotVersion:
    """A registered version, by number or alias, as the bot of a simulated centre where people have ``intents``.

    Raises:
        InvalidInput: it knows none of them.
        NotFound: there is none.
        ArtifactError: its files do not fit, or are damaged.
    """
    from headset.twin.bot import BotVersion, Reader

    known = parts.registry.get(parts.config.decision.model, version)
    encoder, scorer = parts.encoders.of(known), text_model(parts, known)
    if not set(intents) & set(scorer.labels):
        learned = ", ".join(scorer.labels[:10])
        raise InvalidInput(
            "model", f"version {known.version} knows none of the scenario's intents, but {learned}; name another"
        )
    return BotVersion(known.version, Reader(scorer, encoder), scorer.threshold)
