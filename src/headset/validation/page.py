"""The report of a validation: one page, the verdict first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.core.clock import iso
from headset.page.document import Fold, Heading, Page, Paragraph, Table

if TYPE_CHECKING:
    from headset.page.document import Block
    from headset.registry.store import ModelVersion
    from headset.validation.context import Context
    from headset.validation.gate import Judgement
    from headset.validation.validation import Validation

TITLES = {
    "suite": "Behaviour",
    "champion": "Beside the champion",
    "out_of_scope": "Out of scope",
    "calibration": "Calibration",
    "fairness": "Fairness",
    "latency": "Latency and cost",
    "business": "Business figures",
}
"""What the report calls each gate."""


def make_page(version: ModelVersion, context: Context, found: Validation, *, validation_id: str, when: int) -> Page:
    """The page of a validation of ``version``, that ended at ``when`` (microseconds)."""
    summary = [(TITLES.get(name, name), each.result, each.reason) for name, each in found.judgements.items()]
    blocks: list[Block] = [Table(("gate", "result", "why"), summary)]
    for name, judgement in found.judgements.items():
        blocks += _section(TITLES.get(name, name), judgement)
    limits = [(name, str(getattr(context.limits, name))) for name in context.limits.__struct_fields__]
    blocks.append(Fold("All limits", [Table(("limit", "value"), limits)]))
    return Page(
        title=f"Validation of {version.model} version {version.version}",
        mark=found.result,
        lead=verdict(found),
        facts=_facts(version, context, validation_id, when),
        blocks=blocks,
    )


def verdict(found: Validation) -> str:
    """The whole in a sentence or two."""
    names = {
        stand: ", ".join(name for name, result in found.results.items() if result == stand)
        for stand in ("fail", "inconclusive")
    }
    if found.result == "pass":
        return f"All {len(found.judgements)} gates pass."
    told = []
    if names["fail"]:
        told.append(f"Not passed: {names['fail']}.")
    if names["inconclusive"]:
        told.append(f"Not enough evidence: {names['inconclusive']}, which does not count as passed.")
    return " ".join(told)


def _facts(version: ModelVersion, context: Context, validation_id: str, when: int) -> list[tuple[str, str]]:
    rows, champion = context.rows, context.champion
    left_out = []
    if rows.excluded:
        left_out.append(f"{rows.excluded:,} left out, which the candidate or the champion learned from")
    if rows.repeated:
        left_out.append(f"{rows.repeated:,} repetitions left out")
    facts = [
        ("data", "; ".join([f"{rows.name}, {len(rows):,} different unseen texts", *left_out])),
        ("compared with", "no champion" if champion is None else f"champion, version {champion.version}"),
        ("learned from", version.made.dataset or "unknown"),
        ("commit", version.made.commit),
        ("artifact", version.made.artifact_sha256),
        ("validation", validation_id),
        ("judged", iso(when)),
        ("seed", str(context.seed)),
    ]
    if rows.unknown:
        facts.insert(1, ("careful", f"{rows.unknown}; texts it has seen cannot be left out"))
    return facts


def _section(title: str, judgement: Judgement) -> list[Block]:
    figures = [(name, value) for name, value in judgement.evidence.items()]
    blocks: list[Block] = [
        Heading(title, judgement.result),
        Paragraph(judgement.reason[:1].upper() + judgement.reason[1:] + "."),
        *judgement.blocks,
    ]
    return [*blocks, Fold("Evidence on record", [Table(("figure", "value"), figures)])] if figures else blocks
