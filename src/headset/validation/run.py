"""``headset validate``: from a registered version to evidence on record, with a report of one page."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from headset.core.errors import InvalidInput, StorageFailed
from headset.data.bias.group import DIMENSIONS, group_by, read_customers
from headset.data.dataset import read_dataset
from headset.events.schema import GateEvaluated, GateResult, ValidationEnded
from headset.page.document import render
from headset.registry.artifact import MANIFEST, verify
from headset.twin.scenario import read_scenario
from headset.validation.behaviour_file import read_suite
from headset.validation.context import Context, Rows
from headset.validation.foreign import make_foreign
from headset.validation.limits import Limits, changed_limits
from headset.validation.page import make_page
from headset.validation.unseen import choose_data, keep_unseen, plain, read_learned
from headset.validation.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from headset.core.clock import Clock
    from headset.core.ids import Ids
    from headset.events.log import Log
    from headset.events.vault import Vault
    from headset.registry.store import ModelVersion, Registry
    from headset.validation.context import Contender, Handover

    Progress = Callable[[str, float], None]

REPORTS = "reports/validation"


class ValidationRequest(Struct, frozen=True, kw_only=True):
    """What is to be validated, and on what.

    Attributes:
        version: Number or alias.
        model: Its name.
        data: Name of the data set; None for the one it was tested on, else what agents have verified since.
        suite: Files or folders of behavioural tests, beside the built-in ones.
        out_of_scope: Name of a data set that no intent fits; None for made-up texts.
        scenario: Of the business figures.
        limits: What must be held; None for this installation's. A promotion asks for the latter.
        seed: Of everything random.
    """

    version: str
    model: str = "intent"
    data: str | None = None
    suite: tuple[Path, ...] = ()
    out_of_scope: str | None = None
    scenario: str = "quiet_week"
    limits: Limits | None = None
    seed: int = 7


class GateReport(Struct, frozen=True):
    """What one gate found."""

    gate: str
    result: GateResult
    reason: str
    evidence: dict[str, float]


class ValidationReport(Struct, frozen=True, kw_only=True):
    """What a validation found, as it is on record.

    Attributes:
        champion: The version it was compared with; empty where there was none.
        rows: Texts it was measured on.
        excluded: Texts left out because the candidate or the champion has learned from them.
        limits: What it was held to, where that is not as shipped.
        report: The page.
        report_sha256: Its hash.
    """

    validation_id: str
    model: str
    version: str
    champion: str
    artifact_sha256: str
    data: str
    rows: int
    excluded: int
    limits: dict[str, float]
    result: GateResult
    gates: list[GateReport]
    report: str
    report_sha256: str


def run_validation(  # noqa: PLR0913 - stores, clock, ids and settings come in as arguments
    *,
    log: Log,
    vault: Vault,
    registry: Registry,
    load: Callable[[ModelVersion], Contender],
    hands_over: Handover,
    home: Path,
    request: ValidationRequest,
    limits: Limits,
    clock: Clock,
    cpu: Callable[[], float],
    ids: Ids,
    processes: int,
    progress: Progress,
) -> ValidationReport:
    """Judge a version by all gates, keep the report, and tell the registry.

    Args:
        log: Holds the data.
        vault: Opens the texts.
        registry: Knows the version, and takes the evidence in.
        load: Makes a version ready to answer.
        hands_over: The routing policy.
        home: Keeps the report under ``reports/validation``.
        request: What is asked for.
        limits: What must be held.
        clock: Measures durations.
        cpu: Seconds of CPU this process has used.
        ids: Names the validation.
        processes: That may simulate at once.
        progress: Called with a phase and the fraction of it that is done, 0 to 1.

    Raises:
        NotFound: there is no such version, data set, file or scenario.
        InvalidInput: the data, a test or the scenario cannot be used.
        ArtifactError: the files are not those that were registered; nothing is recorded.
        StorageFailed: report or evidence could not be kept.
    """
    progress("read", 0.0)
    candidate = registry.get(request.model, request.version)
    reigning = registry.champion(request.model)
    champion = None if reigning is None or reigning.version == candidate.version else reigning
    ours = _load(registry, candidate, load)
    theirs = None if champion is None else _load(registry, champion, load)
    versions = [candidate, *([champion] if champion is not None else [])]
    learned, unknown = read_learned(log, vault, versions)
    context = Context(
        candidate=ours,
        champion=theirs,
        rows=_rows(log, vault, request, candidate, learned, unknown),
        foreign=_foreign(log, vault, request, ours, learned),
        suite=read_suite(request.suite, request.seed),
        scenario=read_scenario(request.scenario),
        clock=clock,
        cpu=cpu,
        limits=limits,
        hands_over=hands_over,
        seed=request.seed,
        processes=processes,
        progress=progress,
    )
    progress("read", 1.0)
    found = validate(context)
    validation_id = str(ids.new())
    page = make_page(candidate, context, found, validation_id=validation_id, when=clock.now())
    path = home / REPORTS / f"{validation_id}.html"
    sha256 = _keep(path, render(page).encode())
    told = ValidationReport(
        validation_id=validation_id,
        model=candidate.model,
        version=candidate.version,
        champion="" if champion is None else champion.version,
        artifact_sha256=candidate.made.artifact_sha256,
        data=context.rows.name,
        rows=len(context.rows),
        excluded=context.rows.excluded,
        limits=changed_limits(limits),
        result=found.result,
        gates=[GateReport(name, each.result, each.reason, each.evidence) for name, each in found.judgements.items()],
        report=str(path),
        report_sha256=sha256,
    )
    _tell(registry, told, request.seed)
    return told


def _load(registry: Registry, version: ModelVersion, load: Callable[[ModelVersion], Contender]) -> Contender:
    """A version ready to answer, its files those that were registered."""
    verify(registry.artifact(version.model, version.version) / MANIFEST, version.made.artifact_sha256)
    return load(version)


def _rows(
    log: Log,
    vault: Vault,
    request: ValidationRequest,
    candidate: ModelVersion,
    learned: frozenset[str],
    unknown: str,
) -> Rows:
    data = choose_data(log, vault, request.data, candidate)
    conversations = [row.rpartition("#")[0] for row in data.ids]
    customers = read_customers(log, dict.fromkeys(conversations))
    dimensions = [
        *DIMENSIONS,
        *sorted({name for each in customers.values() for name in each.attributes} - {*DIMENSIONS}),
    ]
    groups = group_by(dimensions, [customers.get(name) for name in conversations], data.texts)
    rows = keep_unseen(data, learned, groups, unknown=unknown)
    if not rows.texts:
        raise InvalidInput(
            "data",
            f"{data.name!r} has {len(data.texts)} texts, and version {candidate.version} or the champion has learned"
            " from all of them; name other data with --data",
        )
    if len(set(rows.labels)) < 2:
        raise InvalidInput(
            "data", f"{data.name!r} has one intent, {rows.labels[0][:60]!r}, among unseen texts; at least 2 are needed"
        )
    return rows


def _foreign(
    log: Log, vault: Vault, request: ValidationRequest, ours: Contender, learned: frozenset[str]
) -> dict[str, tuple[str, ...]]:
    """Texts out of scope: the user's, else made-up ones."""
    if request.out_of_scope is None:
        return make_foreign(ours.model.labels, request.seed)
    data = read_dataset(log, vault, request.out_of_scope)
    texts = {plain(text): text for text in data.texts if plain(text) not in learned}
    if not texts:
        raise InvalidInput("out-of-scope", f"{data.name!r} has no text that was not learned from; name other data")
    return {data.name: tuple(texts.values())}


def _keep(path: Path, content: bytes) -> str:
    """Write the report and give its SHA-256 (hex)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(content)
    except OSError as error:
        raise StorageFailed(f"{path} cannot be written ({error.strerror}); nothing was recorded") from error
    return hashlib.sha256(content).hexdigest()


def _tell(registry: Registry, found: ValidationReport, seed: int) -> None:
    gates = [
        GateEvaluated(
            model=found.model,
            version=found.version,
            gate=each.gate,
            result=each.result,
            evidence=each.evidence,
            reason=each.reason,
            validation_id=found.validation_id,
            artifact_sha256=found.artifact_sha256,
        )
        for each in found.gates
    ]
    ended = ValidationEnded(
        model=found.model,
        version=found.version,
        validation_id=found.validation_id,
        artifact_sha256=found.artifact_sha256,
        champion=found.champion,
        results={each.gate: each.result for each in found.gates},
        report_sha256=found.report_sha256,
        limits=found.limits,
        data=found.data,
        seed=seed,
    )
    registry.tell_validation(gates, ended)
