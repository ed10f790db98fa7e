"""What would the centre's own figures become: containment, handle time, transfers, waiting, satisfaction, cost?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from headset.events.schema import GateResult
from headset.page.document import Paragraph, Picture, Table
from headset.registry.confusion import observe
from headset.twin.catalogue import dataset_catalogue, phrasebook_catalogue
from headset.twin.forecast import Plan, Study, what_if
from headset.twin.rule import check_scenario
from headset.validation.gate import Judgement, at_least, worst
from headset.validation.picture import draw_intervals

if TYPE_CHECKING:
    from headset.page.document import Block
    from headset.registry.confusion import Confusion
    from headset.twin.catalogue import Catalogue
    from headset.twin.forecast import WhatIf
    from headset.twin.scenario import Scenario
    from headset.validation.context import Answers, Context
    from headset.validation.limits import Limits


class Kpi(Struct, frozen=True):
    """A figure of the centre that must not get worse by more than ``limit``, the name of a field of the limits.

    ``good`` is 1 where more is better, else -1; ``relative`` limits are shares of the champion's figure; ``scale`` and
    ``unit`` are for the report.
    """

    name: str
    title: str
    good: int
    limit: str
    relative: bool = False
    scale: float = 100.0
    unit: str = "points"


KPIS = (
    Kpi("containment", "containment", 1, "containment"),
    Kpi("transfer_rate", "transfers", -1, "transfer_rate"),
    Kpi("service_level", "service level", 1, "service_level"),
    Kpi("aht_s", "mean handle time", -1, "aht_ratio", relative=True, scale=1.0, unit="s"),
    Kpi("csat", "satisfaction, 1 to 5", 1, "csat", scale=1.0, unit=""),
    Kpi("cost_per_contact", "cost per contact", -1, "cost_ratio", relative=True, scale=1.0, unit=""),
)

_MAY_LACK = ("satisfaction, 1 to 5",)
"""Titles of figures that a centre may go without: where nobody rated, there is no satisfaction."""


class Change(Struct, frozen=True):
    """How one figure changes; above 0 is better. ``margin`` is what it may lose."""

    kpi: Kpi
    before: float | None
    after: float | None
    value: float
    low: float
    high: float
    margin: float
    result: GateResult


class BusinessGate:
    """The twin's centre, simulated with the candidate and with the champion, the same customers calling both.

    A figure passes when its 90 % prediction interval of a period lies above what it may lose, and fails when it lies
    below. Both models are known by their errors on the rows; where there is no champion, the candidate is compared with
    a centre in which people answer everything.
    """

    name = "business"

    def judge(self, context: Context) -> Judgement:
        """See :meth:`Gate.judge`."""
        if context.too_few:
            return Judgement("inconclusive", {"n": len(context.rows)}, context.too_few)
        limits = context.limits
        scenario, catalogue = fit_scenario(context.scenario, context.rows.labels)
        ours = Plan(confusion=_confusion(context, context.answers))
        theirs = context.champion_answers
        base = (
            Plan(confusion=ours.confusion, threshold=1.0)
            if theirs is None
            else Plan(confusion=_confusion(context, theirs))
        )
        found = what_if(
            scenario,
            catalogue,
            base,
            ours,
            Study(days=limits.business_days, runs=limits.business_runs, seed=context.seed),
            processes=context.processes,
            progress=lambda part: context.progress(self.name, part),
        )
        return _judge(found, limits, "people alone" if theirs is None else "the champion")


def fit_scenario(scenario: Scenario, labels: tuple[str, ...]) -> tuple[Scenario, Catalogue]:
    """The scenario with customers who want what the rows are about, in the rows' shares.

    Where the labels are intents of the phrasebooks, the scenario stays as it is. Otherwise its queues take the intents
    in turn, so that its people, hours and volume are met by another trade.

    Raises:
        InvalidInput: the scenario speaks of intents that the rows do not have.
    """
    usual = phrasebook_catalogue()
    if set(labels) & set(usual.groups):
        return scenario, usual
    counts = Counter(labels)
    catalogue = dataset_catalogue(counts)
    total = counts.total()
    names = list(catalogue.usual)
    queues = {
        name: replace(queue, takes=tuple(names[place :: len(scenario.queues)]))
        for place, (name, queue) in enumerate(scenario.queues.items())
    }
    queues = {name: queue for name, queue in queues.items() if queue.takes} if len(names) >= len(queues) else queues
    mix = {name: counts[name] / total for name in names}
    fitted = replace(scenario, intents=mix, queues=queues)
    check_scenario(fitted, catalogue)
    return fitted, catalogue


def _confusion(context: Context, answers: Answers) -> Confusion:
    return observe(answers.labels, context.rows.labels, answers.intents.tolist(), answers.confidence, answers.threshold)


def _judge(found: WhatIf, limits: Limits, other: str) -> Judgement:
    changes = [change for kpi in KPIS if (change := _change(found, kpi, limits)) is not None]
    missing = [kpi.title for kpi in KPIS if kpi.name not in {change.kpi.name for change in changes}]
    unmeasured = [title for title in missing if title not in _MAY_LACK]
    result = worst([*(change.result for change in changes), *(("inconclusive",) if unmeasured else ())])
    evidence: dict[str, float] = {"runs": found.base.study.runs, "days": found.base.study.days}
    for change in changes:
        evidence |= {
            change.kpi.name: change.after or 0.0,
            f"{change.kpi.name}_change": change.kpi.good * change.value,
            f"{change.kpi.name}_margin": change.margin,
        }
    gained = ", ".join(f"{change.kpi.title} {_signed(change)}" for change in changes)
    told = f"beside {other}, in scenario {found.base.scenario!r}: {gained}"
    for stand, words in (("fail", "worse than allowed"), ("inconclusive", "too uncertain")):
        named = [change.kpi.title for change in changes if change.result == stand]
        if named:
            told += f"; {words}: {', '.join(named)}"
    if unmeasured:
        told += f"; not measured: {', '.join(unmeasured)}"
    if result == "inconclusive":
        told += "; validate on more texts, or raise business_runs and business_days in [gates.limits] of headset.toml"
    elif result == "fail":
        told += "; choose another --precision, or train on what it confuses"
    bars = [
        (
            change.kpi.title,
            _in_margins(change, change.value),
            _in_margins(change, change.low),
            _in_margins(change, change.high),
            change.result,
        )
        for change in changes
    ]
    blocks: list[Block] = [
        Picture(
            draw_intervals(bars, axis="change, in margins (right is better)", limit=-1.0, zero=True),
            "Each figure's change with its 90 % prediction interval, in units of what it may lose; dashed: the limit.",
        ),
        Table(("figure", other, "candidate", "change", "may lose", "result"), [_row(change) for change in changes]),
    ]
    if found.changed.unlearned:
        blocks.append(Paragraph(f"It has not learned, and gets wrong: {', '.join(found.changed.unlearned)}."))
    if missing:
        blocks.append(
            Paragraph(f"Not compared, since one of the two centres has no such figure: {', '.join(missing)}.")
        )
    return Judgement(result, evidence, told, tuple(blocks))


def _change(found: WhatIf, kpi: Kpi, limits: Limits) -> Change | None:
    """None where one of the two centres does not have the figure."""
    difference, before = found.differences[kpi.name], found.base.figures[kpi.name].mean
    if difference.mean is None or difference.low is None or difference.high is None or before is None:
        return None
    margin: float = getattr(limits, kpi.limit) * (abs(before) if kpi.relative else 1.0)
    low, high = sorted((kpi.good * difference.low, kpi.good * difference.high))
    value = kpi.good * difference.mean
    after = found.changed.figures[kpi.name].mean
    return Change(kpi, before, after, value, low, high, margin, at_least(low, high, -margin))


def _in_margins(change: Change, value: float) -> float:
    return value / change.margin if change.margin > 0 else value


def _signed(change: Change) -> str:
    value = change.kpi.good * change.value * change.kpi.scale
    return f"{value:+z.2f} {change.kpi.unit}".rstrip()


def _row(change: Change) -> tuple[str | float, ...]:
    scale = change.kpi.scale

    def shown(value: float | None) -> str:
        return "–" if value is None else f"{scale * value:.2f}"

    return (
        change.kpi.title,
        shown(change.before),
        shown(change.after),
        _signed(change),
        f"{scale * change.margin:.2f}",
        change.result,
    )
