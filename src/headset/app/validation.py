"""Gates held over a registered version, as this installation routes and limits."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from headset.app.models import text_model
from headset.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from headset.app.installation import Installation
    from headset.registry.store import ModelVersion
    from headset.validation.context import Contender
    from headset.validation.run import ValidationReport, ValidationRequest


def validate(
    parts: Installation, request: ValidationRequest, *, progress: Callable[[str, float], None]
) -> ValidationReport:
    """Judge a registered version by all gates, and keep report and evidence.

    Raises:
        InvalidInput: it is no intent model, or cannot be judged on what was named.
        ArtifactError: its files are not those that were registered.
    """
    from headset.serving.policy import route_turn

    if request.model == parts.config.decision.risk_model:
        raise InvalidInput(
            "model", f"{request.model!r} is the risk model; gates judge models that read texts, name one of those"
        )
    parts.registry.get(request.model, request.version)  # before the libraries are loaded, which takes seconds
    from headset.validation.run import run_validation

    def hands_over(text: str, intent: str, confidence: float, threshold: float) -> bool:
        routing = route_turn(
            text=text,
            intent=intent,
            confidence=confidence,
            threshold=threshold,
            sentiment=parts.sentiment.score(text),
            handed_off=False,
            at_risk=False,
            config=parts.config.decision,
        )
        return routing.route == "human"

    return run_validation(
        log=parts.log,
        vault=parts.vault,
        registry=parts.registry,
        load=lambda known: _contender(parts, known),
        hands_over=hands_over,
        home=parts.config.home,
        request=request,
        limits=request.limits or parts.limits,
        clock=parts.clock,
        cpu=time.process_time,
        ids=parts.ids,
        processes=os.cpu_count() or 1,
        progress=progress,
    )


def _contender(parts: Installation, known: ModelVersion) -> Contender:
    """A registered version as the gates see it."""
    from headset.validation.context import Contender
    from headset.validation.unseen import read_asked

    folder = parts.registry.artifact(known.model, known.version)
    return Contender(
        version=known.version,
        model=text_model(parts, known),
        encoder=parts.encoders.of(known),
        target_precision=read_asked(known).target_precision,
        baseline_accuracy=known.made.metrics.get("baseline_accuracy"),
        artifact_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    )
