from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from headset.features.families import risk_service, shipped
from headset.training.calibration import NEVER
from headset.training.risk import evaluation as risk_evaluation
from headset.training.risk import model as risk_model
from headset.training.risk.data import RiskData
from headset.training.risk.evaluation import best_cut, evaluate_risk
from headset.training.risk.model import fit_risk, handoff_threshold, peaks, turn_weights

DIM = 4
SERVICE = risk_service(shipped(DIM))


def made_up(seed=7, count=240, told=2.0):
    """Conversations whose mood, topic and last word tell how they end; what else there is tells nothing."""
    random = np.random.Generator(np.random.PCG64(seed))
    endings = random.random(count) < 0.3
    lengths = random.integers(2, 8, count)
    conversations = np.repeat(np.arange(count), lengths)
    bad, total = endings[conversations], int(lengths.sum())
    columns = {}
    for name, kind in SERVICE.kinds.items():
        if kind == "vector":
            columns[name] = random.normal(size=(total, DIM)).astype(np.float32)
            columns[name][:, 1] += told * bad
        elif kind == "word":
            columns[name] = random.choice(["a", "b"], total).tolist()
        else:
            columns[name] = np.where(random.random(total) < 0.1, np.nan, random.normal(size=total))
    columns["sentiment.mean"] = columns["sentiment.mean"] - told * bad
    columns["intent.last"] = [
        None if random.random() < 0.2 else "complain" if one and random.random() < told / 4 else "ask" for one in bad
    ]
    columns["outcomes.csat_mean"] = np.full(total, np.nan)
    columns["visits.count_1d"] = np.full(total, 1.0)
    return RiskData(
        columns=columns,
        kinds=SERVICE.kinds,
        bad=bad,
        conversations=conversations,
        last=np.append(conversations[1:] != conversations[:-1], True),
        sentiment=random.normal(size=total),
        made=SimpleNamespace(),
    )


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(risk_evaluation, "DRAWS", 200)
        yield


@pytest.fixture(scope="module")
def data():
    return made_up()


@pytest.fixture(scope="module")
def fitted(data):
    return fit_risk(data, np.arange(len(data.bad)), 7)


@pytest.fixture(scope="module")
def evaluation(data):
    return evaluate_risk(data, SERVICE, share=0.2, seed=7, progress=lambda _: None).evaluation


def test_it_learns_what_tells(data, fitted):
    assert roc_auc_score(data.bad, fitted.unseen) > 0.9


def test_compiled_it_gives_the_numbers_of_the_regression(data, fitted):
    """Beside scikit-learn's own ridge regression on the same columns."""
    rows = np.arange(len(data.bad))
    weights = turn_weights(data.conversations)
    matrix = risk_model._Design(data, rows, weights).matrix(rows)
    ridge = Ridge(alpha=fitted.penalty * weights.sum()).fit(matrix, data.bad.astype(float), sample_weight=weights)
    margins = fitted.compiled(SERVICE, data, 0.5).margins(data.rows())
    slope, intercept = np.polyfit(ridge.predict(matrix), margins, 1)
    np.testing.assert_allclose(slope * ridge.predict(matrix) + intercept, margins, rtol=0, atol=1e-9)


def test_what_never_varies_or_was_never_seen_adds_nothing(data, fitted):
    scorer = fitted.compiled(SERVICE, data, 0.5)
    row = data.rows()[0]
    (plain,) = scorer.score([row])
    for name in ("visits.count_1d", "outcomes.csat_mean"):
        assert scorer.score([row | {name: 5.0}, row | {name: None}]).tolist() == [plain, plain]
    assert scorer.score([row | {"intent.last": "unheard of"}]) != scorer.score([row | {"intent.last": "ask"}])


def test_probabilities_are_calibrated(data, fitted):
    assert abs(np.average(fitted.unseen - data.bad, weights=turn_weights(data.conversations))) < 1e-3


def test_equal_seeds_give_equal_artifacts(data, fitted, tmp_path):
    again = fit_risk(data, np.arange(len(data.bad)), 7)
    assert fitted.compiled(SERVICE, data, 0.5).save(tmp_path / "a") == again.compiled(SERVICE, data, 0.5).save(
        tmp_path / "b"
    )


def test_a_clear_case_beats_both_baselines(evaluation):
    assert evaluation.beaten
    for compared in (evaluation.last, evaluation.every):
        assert compared.model.low < compared.model.value < compared.model.high
        assert compared.over_majority.value == pytest.approx(compared.model.value - compared.majority.value)
    assert evaluation.handoffs.precision > 0.8
    assert evaluation.handoffs.share == pytest.approx(0.2, abs=0.06)
    assert evaluation.handoffs.recall == pytest.approx(
        evaluation.handoffs.share * evaluation.handoffs.precision / np.mean(made_up().endings)
    )


def test_noise_beats_nobody():
    data = made_up(told=0.0)
    found = evaluate_risk(data, SERVICE, share=0.2, seed=7, progress=lambda _: None).evaluation
    assert not found.beaten
    assert found.auroc == pytest.approx(0.5, abs=0.1)
    assert found.handoffs.precision == pytest.approx(np.mean(data.endings), abs=0.15)


def test_no_conversation_is_on_both_sides_of_a_fold(data, monkeypatch):
    seen = []

    def spied(data, rows, seed, progress):
        seen.append(set(data.conversations[rows]))
        return fit_risk(data, rows, seed, progress)

    monkeypatch.setattr("headset.training.risk.evaluation.fit_risk", spied)
    evaluate_risk(data, SERVICE, share=0.2, seed=7, progress=lambda _: None)
    held_out = [set(data.conversations) - each for each in seen]
    assert sum(map(len, held_out)) == len(data.endings)
    assert set().union(*held_out) == set(data.conversations)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_the_threshold_keeps_its_share(risks, share):
    threshold = handoff_threshold(np.array(risks), share)
    reached = sum(risk >= threshold for risk in risks)
    assert reached <= share * len(risks)
    assert threshold == NEVER or sum(risk >= np.nextafter(threshold, 0) for risk in risks) > reached


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=30))
def test_a_peak_is_the_highest_of_its_conversation(turns):
    turns.sort(key=lambda turn: turn[0])
    numbers, risks = zip(*turns, strict=True)
    expected = [max(risk for number, risk in turns if number == one) for one in sorted(set(numbers))]
    assert peaks(np.array(risks), np.array(numbers)).tolist() == expected


@given(st.lists(st.integers(1, 6), min_size=1, max_size=10))
def test_each_conversation_weighs_the_same_and_later_turns_more(lengths):
    conversations = np.repeat(np.arange(len(lengths)), lengths)
    weights = turn_weights(conversations)
    np.testing.assert_allclose(np.bincount(conversations, weights), 1)
    assert np.all((np.diff(weights) > 0) | (np.diff(conversations) > 0))


def test_the_cut_is_the_best_of_those_tried():
    scores = np.linspace(0, 1, 101)
    assert best_cut(scores, scores >= 0.7) == pytest.approx(0.7, abs=0.011)
