"""Training in an installation: models, searches for recipes, synthetic texts, and versions made again."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headset.app.commit import current_commit
from headset.app.encoders import FINER
from headset.app.models import verified_folder
from headset.app.serving import service_of
from headset.core.errors import ArtifactError, InvalidInput

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from headset.app.installation import Installation
    from headset.data.synthetic.endpoint import Endpoint
    from headset.registry.store import ModelVersion
    from headset.training.encoder_comparison import EncoderComparison
    from headset.training.recipe import IntentRequest, RiskRequest
    from headset.training.report import TrainingReport
    from headset.training.risk.report import RiskReport
    from headset.training.search.job import Found
    from headset.training.search.request import SearchRequest
    from headset.training.search.space import Space
    from headset.training.synthesis.job import SynthesisReport, SynthesisRequest


def train_intent(
    parts: Installation,
    request: IntentRequest,
    *,
    progress: Callable[[str, float], None],
    code: Path | None = None,
    limit_s: float | None = None,
) -> TrainingReport:
    """Train, track and register an intent model from a dataset in the log.

    A learner of the user's own is found in the folder ``code``, the working directory when left out, and each fit
    of it may take ``limit_s`` seconds.
    """
    from headset.data.dataset import check_dataset

    request.check()
    if request.name == parts.config.decision.risk_model:
        raise InvalidInput("as", f"{request.name!r} is the risk model; choose another name")
    for name in (request.dataset, *([request.test] if request.test is not None else [])):
        check_dataset(parts.log, name)  # before the training libraries are loaded, which takes seconds
    from headset.training import intent_job
    from headset.training.plugin.learner import LIMIT_S

    encoder, recipe = parts.encoders.for_recipe(request.recipe, progress)
    code = code or Path.cwd()
    return intent_job.train_intent(
        log=parts.log,
        vault=parts.vault,
        registry=parts.registry,
        encoder=encoder,
        home=parts.config.home,
        tracking_uri=parts.config.tracking_uri,
        request=msgspec.structs.replace(request, recipe=recipe),
        clock=parts.clock,
        commit=current_commit(code),
        progress=progress,
        code=code,
        limit_s=LIMIT_S if limit_s is None else limit_s,
        encoder_file=parts.encoders.file(encoder.version),
    )


def train_risk(parts: Installation, request: RiskRequest, *, progress: Callable[[str, float], None]) -> RiskReport:
    """Train, track and register a risk model from a dataset in the log, or from all of the log.

    It reads the live feature service ``risk``; where no definition was ever applied, that is the shipped one.
    """
    from headset.features.families import RISK
    from headset.training.risk import job as risk_job

    parts.apply_shipped_features()
    return risk_job.train_risk(
        log=parts.log,
        registry=parts.registry,
        signals=parts.signals(),
        service=parts.catalogue.service(RISK),
        home=parts.config.home,
        tracking_uri=parts.config.tracking_uri,
        request=request,
        clock=parts.clock,
        commit=current_commit(Path.cwd()),
        progress=progress,
    )


def repeat(parts: Installation, known: ModelVersion, *, progress: Callable[[str, float], None]) -> str:
    """Make a version's artifact again, from its record and the log as it was; gives the SHA-256 (hex).

    Raises:
        InvalidInput: the version is of no training, or its data can no longer be trained on.
        NotFound: the features it read are not live any more.
        ArtifactError: this installation does not have its encoder.
    """
    from headset.events.past import Past
    from headset.training.recipe import IntentRequest, read_request

    request = read_request(known.made.request, f"version {known.version} of {known.model!r}")
    past = Past(parts.log, known.made.data_position)
    if isinstance(request, IntentRequest):
        from headset.registry.hosted import CODE
        from headset.training import intent_job

        return intent_job.repeat_intent(
            log=past,
            vault=parts.vault,
            encoder=parts.encoders.of(known),
            home=parts.config.home,
            request=request,
            clock=parts.clock,
            progress=progress,
            code=verified_folder(parts, known) / CODE if request.recipe.learner else None,
        )
    from headset.training.risk import job as risk_job

    return risk_job.repeat_risk(
        log=past,
        signals=parts.signals(),
        service=service_of(parts, known),
        home=parts.config.home,
        request=request,
        progress=progress,
    )


def synthesize(
    parts: Installation, request: SynthesisRequest, endpoint: Endpoint | None, *, progress: Callable[[str, float], None]
) -> SynthesisReport:
    """Make synthetic rows for the rare intents of a dataset in the log, try them, and keep them if they help."""
    from headset.data.dataset import check_dataset

    check_dataset(parts.log, request.dataset)  # before the training libraries are loaded, which takes seconds
    from headset.training.synthesis import job as synthesis_job

    return synthesis_job.synthesize(
        request,
        log=parts.log,
        door=parts.door,
        vault=parts.vault,
        encoder=parts.encoder,
        clock=parts.clock,
        progress=progress,
        endpoint=endpoint,
    )


def tune(  # noqa: PLR0913 - each is an option of the command, or comes from it
    parts: Installation,
    request: SearchRequest,
    space: Space | None,
    *,
    name: str,
    trials: int,
    workers: int,
    timeout_s: float | None,
    start: Callable[[], subprocess.Popen[bytes]],
    progress: Callable[[str, float], None],
    say: Callable[[str], None],
) -> Found:
    """Search for a recipe of intent models, in ``space`` or in all that is usual; ``start`` starts a worker."""
    from headset.data.dataset import check_dataset

    for each in (request.dataset, *([request.test] if request.test is not None else [])):
        check_dataset(parts.log, each)
    from headset.training.search.job import search_recipe
    from headset.training.search.space import shipped_space

    encoders = parts.encoders.available()
    return search_recipe(
        log=parts.log,
        vault=parts.vault,
        encoders=encoders,
        home=parts.config.home,
        storage=parts.config.tuning.storage,
        tracking_uri=parts.config.tracking_uri,
        request=request,
        space=space or shipped_space(tuple(encoders)),
        name=name,
        trials=trials,
        workers=workers,
        timeout_s=timeout_s,
        start=start,
        uid=str(parts.ids.new()),
        commit=current_commit(Path.cwd()),
        clock=parts.clock,
        progress=progress,
        say=say,
    )


def join_tune(parts: Installation, name: str) -> int:
    """Work for the search of this name; gives how many trials were made."""
    from headset.training.search.job import join_search

    return join_search(
        log=parts.log,
        vault=parts.vault,
        encoders=parts.encoders.available(),
        home=parts.config.home,
        storage=parts.config.tuning.storage,
        name=name,
        pid=os.getpid(),
    )


def compare_encoders(
    parts: Installation,
    data: str,
    test: str,
    *,
    seed: int,
    target_precision: float,
    progress: Callable[[str, float], None],
) -> EncoderComparison:
    """Train the shipped recipe with each encoder that is there and measure both; registers nothing."""
    from headset.data.dataset import check_dataset, read_dataset

    for each in (data, test):
        check_dataset(parts.log, each)
    from headset.training import encoder_comparison

    absent = {}
    try:
        _ = parts.encoders.finer
    except ArtifactError as error:
        absent[FINER] = str(error)
    return encoder_comparison.compare_encoders(
        read_dataset(parts.log, parts.vault, data),
        read_dataset(parts.log, parts.vault, test),
        {name: give() for name, give in parts.encoders.available().items()},
        absent=absent,
        seed=seed,
        target_precision=target_precision,
        clock=parts.clock,
        cpu=time.process_time,
        progress=progress,
    )
