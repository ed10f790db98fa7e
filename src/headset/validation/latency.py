"""Is the candidate quick and cheap enough, measured with its encoder beside the champion?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headset.page.document import Picture, Table
from headset.validation.gate import Judgement, at_most, worst
from headset.validation.picture import draw_intervals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from headset.core.clock import Clock
    from headset.validation.context import Contender, Context

_TEXTS = 200
_WARM_UP = 20
_ROUNDS = 3
_BATCH = 32
_FEWEST = 20
_MILLION_MS_IN_HOURS = 1_000_000 / 3_600_000


class Cost(Struct, frozen=True):
    """What a model takes, encoder included.

    Attributes:
        p50_ms: Half of the texts are answered within it, one at a time.
        p99_ms: 99 of 100 are: the median over rounds.
        p99_low_ms: In the quickest round.
        p99_high_ms: In the slowest.
        cpu_ms: CPU of one text, one at a time.
        batch_cpu_ms: The same in batches of 32.
    """

    p50_ms: float
    p99_ms: float
    p99_low_ms: float
    p99_high_ms: float
    cpu_ms: float
    batch_cpu_ms: float


class LatencyGate:
    """Time and CPU of a text on this machine, after a warm-up, in rounds that alternate with the champion.

    The p99 passes below ``latency_p99_ms`` or below ``latency_ratio`` times that of the champion, whichever is more; it
    is inconclusive where rounds disagree, since a busy machine only adds to it. CPU and size have limits of their own.
    """

    name = "latency"

    def judge(self, context: Context) -> Judgement:
        """See :meth:`Gate.judge`."""
        texts = context.rows.texts[:_TEXTS]
        if len(texts) < _FEWEST:
            told = f"{len(texts)} texts are too few to measure on, {_FEWEST} are needed; name other data with --data"
            return Judgement("inconclusive", {"n": len(texts)}, told)
        contenders = [context.candidate, *([context.champion] if context.champion is not None else [])]
        costs = measure(contenders, texts, context.clock, context.cpu, lambda part: context.progress(self.name, part))
        return _judge(context, costs[0], costs[1] if len(costs) > 1 else None, len(texts))


def measure(
    contenders: Sequence[Contender],
    texts: Sequence[str],
    clock: Clock,
    cpu: Callable[[], float],
    progress: Callable[[float], None],
) -> list[Cost]:
    """What each contender takes for the same texts."""
    for contender in contenders:
        for text in texts[:_WARM_UP]:
            contender.answer([text])
    times = np.zeros((_ROUNDS, len(contenders), len(texts)))
    used = np.zeros((_ROUNDS, len(contenders), 2))
    for turn in range(_ROUNDS):
        for place, contender in enumerate(contenders):
            before = cpu()
            for row, text in enumerate(texts):
                began = clock.monotonic()
                contender.answer([text])
                times[turn, place, row] = clock.monotonic() - began
            between = cpu()
            for start in range(0, len(texts), _BATCH):
                contender.answer(texts[start : start + _BATCH])
            used[turn, place] = between - before, cpu() - between
        progress((turn + 1) / _ROUNDS)
    times *= 1_000
    used *= 1_000 / len(texts)
    return [_cost(times[:, place], used[:, place]) for place in range(len(contenders))]


def _cost(times: np.ndarray, used: np.ndarray) -> Cost:
    tails = np.quantile(times, 0.99, axis=1)
    single, batch = np.median(used, axis=0)
    return Cost(
        p50_ms=float(np.median(times)),
        p99_ms=float(np.median(tails)),
        p99_low_ms=float(tails.min()),
        p99_high_ms=float(tails.max()),
        cpu_ms=float(single),
        batch_cpu_ms=float(batch),
    )


def _judge(context: Context, ours: Cost, theirs: Cost | None, texts: int) -> Judgement:
    limits, champion = context.limits, context.champion
    allowed = max(limits.latency_p99_ms, 0.0 if theirs is None else limits.latency_ratio * theirs.p99_ms)
    size_mb = context.candidate.artifact_bytes / 1e6
    quick = at_most(ours.p99_low_ms, ours.p99_high_ms, allowed)
    cheap = at_most(ours.cpu_ms, ours.cpu_ms, limits.cpu_ms)
    small = at_most(size_mb, size_mb, limits.artifact_mb)
    result = worst([quick, cheap, small])
    evidence = {
        "n": texts,
        "p50_ms": ours.p50_ms,
        "p99_ms": ours.p99_ms,
        "p99_limit_ms": allowed,
        "cpu_ms": ours.cpu_ms,
        "batch_cpu_ms": ours.batch_cpu_ms,
        "artifact_mb": size_mb,
        "cost_per_million": _per_million(ours, limits.cpu_hour_cost),
    }
    told = (
        f"p99 {ours.p99_ms:.2f} ms (at most {allowed:.3g}), {ours.cpu_ms:.2f} ms of CPU per text (at most"
        f" {limits.cpu_ms:g}), {size_mb:.1f} MB on disk (at most {limits.artifact_mb:g})"
    )
    rows = [_row(f"version {context.candidate.version}, candidate", ours, size_mb, limits.cpu_hour_cost)]
    bars = [("candidate", ours.p99_ms, ours.p99_low_ms, ours.p99_high_ms, quick)]
    if theirs is not None and champion is not None:
        evidence |= {"champion_p99_ms": theirs.p99_ms, "champion_cpu_ms": theirs.cpu_ms}
        if theirs.cpu_ms > 0:
            evidence["cpu_ratio"] = ours.cpu_ms / theirs.cpu_ms
            told += f"; {evidence['cpu_ratio']:.2g} times the champion's CPU"
        size = champion.artifact_bytes / 1e6
        rows.append(_row(f"version {champion.version}, champion", theirs, size, limits.cpu_hour_cost))
        bars.append(("champion", theirs.p99_ms, theirs.p99_low_ms, theirs.p99_high_ms, "pass"))
    if result == "inconclusive":
        told += "; rounds disagree, validate again on a quieter machine"
    elif result == "fail":
        told += "; choose a cheaper encoder, or raise the limit in [gates.limits] of headset.toml"
    picture = draw_intervals(bars, axis="p99 of one text in ms: median, quickest and slowest round", limit=allowed)
    header = ("model", "p50 ms", "p99 ms", "CPU ms", "CPU ms in batches", "MB", "cost of a million turns")
    blocks = (
        Picture(picture, "Time of one text, encoder included; the dashed line is the limit."),
        Table(header, rows),
    )
    return Judgement(result, evidence, told, blocks)


def _row(name: str, cost: Cost, size_mb: float, hour: float) -> tuple[str | float, ...]:
    figures = (cost.p50_ms, cost.p99_ms, cost.cpu_ms, cost.batch_cpu_ms, size_mb, _per_million(cost, hour))
    return (name, *(round(figure, 3) for figure in figures))


def _per_million(cost: Cost, hour: float) -> float:
    """What a million turns cost in CPU, one at a time."""
    return cost.cpu_ms * _MILLION_MS_IN_HOURS * hour
