from __future__ import annotations

from headset.core.clock import ManualClock
from headset.validation.latency import LatencyGate
from headset.validation.limits import Limits


def timed(context, contender, rows, ours_ms, theirs_ms=None, limits=None, artifact_bytes=1_000):
    """A context in which answering one text takes so long; ``ours_ms`` may depend on how often it was asked."""
    clock, asked = ManualClock(), [0]

    def says(takes):
        def answer(text):
            asked[0] += 1
            clock.advance((takes(asked[0]) if callable(takes) else takes) / 1_000)
            return "card", 0.9, 1.0

        return answer

    champion = None if theirs_ms is None else contender(says(theirs_ms), "1")
    candidate = contender(says(ours_ms), artifact_bytes=artifact_bytes)
    whole = {"rows": rows(40), "clock": clock, "cpu": clock.monotonic, "limits": limits or Limits()}
    return LatencyGate().judge(context(candidate=candidate, champion=champion, **whole))


def test_a_quick_model_passes_with_its_cost(context, contender, rows):
    found = timed(context, contender, rows, 2.0)
    assert found.result == "pass"
    assert abs(found.evidence["p99_ms"] - 2.0) < 0.01
    assert abs(found.evidence["cost_per_million"] - 2.0 / 3_600 * 1_000 * 0.05) < 1e-3


def test_a_slow_model_fails(context, contender, rows):
    assert timed(context, contender, rows, 80.0, limits=Limits(cpu_ms=100)).result == "fail"


def test_a_slow_champion_excuses_a_slow_candidate(context, contender, rows):
    found = timed(context, contender, rows, 80.0, 40.0, Limits(cpu_ms=100))
    assert (found.result, round(found.evidence["p99_limit_ms"])) == ("pass", 120)
    assert abs(found.evidence["cpu_ratio"] - 2) < 0.01


def test_cpu_and_size_have_limits_of_their_own(context, contender, rows):
    assert timed(context, contender, rows, 30.0).result == "fail"
    assert timed(context, contender, rows, 2.0, artifact_bytes=501_000_000).result == "fail"


def test_rounds_that_disagree_are_inconclusive(context, contender, rows):
    # 20 to warm up, then each round asks 40 texts one by one and 40 in batches
    found = timed(context, contender, rows, lambda asked: 100.0 if 20 < asked < 100 else 1.0, limits=Limits(cpu_ms=200))
    assert (found.result, found.evidence["p99_ms"] < 50) == ("inconclusive", True)


def test_too_few_texts_are_inconclusive(context, rows):
    assert LatencyGate().judge(context(rows=rows(10))).result == "inconclusive"
