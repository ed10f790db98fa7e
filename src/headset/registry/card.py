"""The model card: what a champion is, what it was measured on, and who let it serve; frozen when it is promoted.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. The card is canonical JSON inside the sealed event
that made the version champion, so nothing of it can be changed afterwards.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from headset.core.clock import iso
from headset.core.errors import ArtifactError
from headset.events.schema import Actor, GateResult
from headset.page.document import Fold, Heading, Page, Paragraph, Table
from headset.registry.evidence import shortfall
from headset.registry.waiver import WaiverReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.page.document import Block, Mark
    from headset.registry.evidence import Case

_USES = {
    "intent": "Names the intent of one customer turn in a contact centre, with a calibrated confidence, so that a bot"
    " answers where it is sure and a person everywhere else.",
    "risk": "Estimates how likely a running conversation ends unresolved or dissatisfied, so that a person takes over.",
}
_USE = "Answers for the turns of a contact centre's conversations that this installation gives it."
_MISUSES = (
    "Decisions about a person's rights, credit, employment or health.",
    "Languages, channels and topics that its data do not hold: what it cannot know, it may still name.",
)


class CardGate(Struct, frozen=True):
    """One gate as it stood: its result, why, what it measured, and whether it was required or waived."""

    gate: str
    result: GateResult
    reason: str
    required: bool
    evidence: dict[str, float] = {}


class ModelCard(Struct, frozen=True, kw_only=True):
    """A version, told to whoever must judge it.

    Attributes:
        intended_use: What it is for.
        out_of_scope_use: What it is not for.
        limits: What is known to be weak, in sentences made from the figures.
        data: Where it learned: name, fingerprint, place in the log.
        made: How: commit, seed, run, request, encoder, artifact hash.
        features: Versions of what it reads.
        metrics: Of the training, on texts it had not seen.
        segments: What gates measured by segment.
        gates: All gates of the validation that let it pass.
        waivers: Those in force.
        evidence: What spoke for it.
        approved_by: Who asked for its promotion.
        reason: Why.
        replaces: The champion before it; empty for the first.
        when: ISO 8601; empty for a draft.
    """

    model: str
    version: str
    intended_use: str
    out_of_scope_use: tuple[str, ...]
    limits: tuple[str, ...]
    data: dict[str, str]
    made: dict[str, str]
    features: dict[str, str]
    metrics: dict[str, float]
    segments: dict[str, float]
    gates: tuple[CardGate, ...]
    waivers: tuple[WaiverReport, ...]
    validation: dict[str, str]
    evidence: str
    approved_by: Actor
    reason: str
    replaces: str
    when: str


_decode = msgspec.json.Decoder(ModelCard).decode


def make_card(
    case: Case, waivers: Sequence[WaiverReport], *, by: Actor, reason: str, evidence: str, when: int | None
) -> ModelCard:
    """The card of a version, from what is on record; ``when`` is None for a draft."""
    made, found = case.made, case.validation
    gates = () if found is None else found.gates
    return ModelCard(
        model=made.model,
        version=made.version,
        intended_use=_USES.get(made.model, _USE),
        out_of_scope_use=_MISUSES,
        limits=tuple(_limits(case)),
        data={"name": made.dataset, "fingerprint": made.data_fingerprint, "log position": str(made.data_position)},
        made={
            "artifact SHA-256": made.artifact_sha256,
            "commit": made.commit,
            "seed": str(made.seed),
            "MLflow run": made.run_id,
            "encoder": made.encoder_version,
            "request": made.request,
        },
        features=({"service": made.feature_service} if made.feature_service else {}) | made.features,
        metrics=made.metrics,
        segments={
            f"{gate.gate}: {name}": value for gate in gates for name, value in gate.evidence.items() if "=" in name
        },
        gates=tuple(
            CardGate(gate.gate, gate.result, gate.reason, gate.gate in case.needed, gate.evidence) for gate in gates
        ),
        waivers=tuple(each for each in waivers if each.state == "granted" and shortfall(case, each.gate)),
        validation={}
        if found is None
        else {
            "id": found.ended.validation_id,
            "when": iso(found.moment.told),
            "compared with version": found.ended.champion,
            "report SHA-256": found.ended.report_sha256,
        },
        evidence=evidence,
        approved_by=by,
        reason=reason,
        replaces=case.reigning,
        when="" if when is None else iso(when),
    )


def _limits(case: Case) -> list[str]:
    metrics = case.made.metrics
    told = []
    if "accuracy" in metrics:
        interval = (
            f" (95 % interval {metrics['accuracy_low']:.1%} to {metrics['accuracy_high']:.1%})"
            if {"accuracy_low", "accuracy_high"} <= metrics.keys()
            else ""
        )
        told.append(f"It is right about {metrics['accuracy']:.1%} of texts like those it was measured on{interval}.")
    if "automatic_ratio" in metrics:
        told.append(f"It answers {metrics['automatic_ratio']:.1%} of texts alone; the others go to a person.")
    told += [f"Gate {gate} {kept}." for gate in case.needed if (kept := shortfall(case, gate))]
    if case.validation is not None and not any(gate.gate == "fairness" for gate in case.validation.gates):
        told.append("Whether it serves groups of customers equally was not measured.")
    return told


def encode_card(card: ModelCard) -> str:
    """The card as canonical JSON: equal cards give equal text."""
    as_read_back = _decode(msgspec.json.encode(card))  # a whole number given for a float is one then
    return msgspec.json.encode(as_read_back, order="sorted").decode()


def decode_card(text: str) -> ModelCard:
    """The card in a promotion.

    Raises:
        ArtifactError: it is none that this Headset reads.
    """
    try:
        return _decode(text)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ArtifactError(f"the model card cannot be read ({error}); another version of Headset wrote it") from None


def card_sha256(card: ModelCard) -> str:
    """SHA-256 (hex) of the canonical JSON."""
    return hashlib.sha256(encode_card(card).encode()).hexdigest()


def card_page(card: ModelCard) -> Page:
    """The card as a page."""
    failed = any(gate.required and gate.result != "pass" for gate in card.gates)
    mark: Mark | None = "warn" if card.waivers else None if not card.when or failed else "pass"
    by = card.approved_by
    lead = (
        f"Champion since {card.when}: {card.evidence}."
        if card.when
        else "A draft: this version was never champion, and nothing here is frozen."
    )
    facts = [
        ("intended use", card.intended_use),
        ("approved by", f"{by.person}{f' (key {by.key_id})' if by.key_id else ''}, by way of {by.path}"),
        ("reason", card.reason),
        ("replaces", f"version {card.replaces}" if card.replaces else "nothing: the first champion"),
        ("card SHA-256", card_sha256(card)),
    ]
    blocks: list[Block] = [Heading("Limits"), *map(Paragraph, card.limits)]
    blocks += [Heading("Not for"), *map(Paragraph, card.out_of_scope_use)]
    blocks += [Heading("Gates"), *_gate_blocks(card)]
    if card.waivers:
        rows = [(each.gate, each.asked_by, each.granted_by, each.expires, each.reason) for each in card.waivers]
        blocks += [Heading("Waivers", "warn"), Table(("gate", "asked by", "granted by", "until", "reason"), rows)]
    for title, values in (
        ("Metrics by segment", card.segments),
        ("Metrics", card.metrics),
        ("Data", card.data),
        ("How it was made", card.made),
        ("Features", card.features),
        ("Validation", card.validation),
    ):
        if values:
            blocks += [Heading(title), Table(("name", "value"), [(name, value) for name, value in values.items()])]
    return Page(f"Model card: {card.model} version {card.version}", mark, lead, facts, blocks)


def _gate_blocks(card: ModelCard) -> list[Block]:
    if not card.gates:
        return [Paragraph("No gate has judged it.")]
    rows = [(gate.gate, gate.result, "yes" if gate.required else "no", gate.reason) for gate in card.gates]
    return [
        Table(("gate", "result", "required", "why"), rows),
        *(
            Fold(f"What {gate.gate} measured", [Table(("name", "value"), list(gate.evidence.items()))])
            for gate in card.gates
            if gate.evidence
        ),
    ]
