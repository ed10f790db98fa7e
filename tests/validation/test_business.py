from __future__ import annotations

from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from headset.core.errors import InvalidInput
from headset.twin.forecast import Study
from headset.twin.phrasebook import load_phrasebook
from headset.twin.scenario import read_scenario
from headset.validation.business import KPIS, BusinessGate, fit_scenario
from headset.validation.limits import Limits

SHORT = Limits(business_days=0.05)


def judge(context):
    return BusinessGate().judge(context)


@pytest.mark.slow
def test_the_same_model_changes_nothing(context, contender, wrong_in):
    found = judge(context(candidate=contender(wrong_in(0.1)), champion=contender(wrong_in(0.1), "1"), limits=SHORT))
    assert found.result == "pass"
    assert found.evidence["containment_change"] == 0
    assert "quiet week" in found.reason


@pytest.mark.slow
def test_a_model_that_answers_wrong_things_alone_fails(context, contender, wrong_in):
    pair = {"candidate": contender(wrong_in(0.9)), "champion": contender(wrong_in(0.0), "1")}
    found = judge(context(**pair, limits=SHORT))
    assert found.result == "fail"
    assert found.evidence["containment_change"] < -0.1
    assert "worse than allowed: containment" in found.reason


@pytest.mark.slow
def test_without_a_champion_people_alone_are_the_measure(context, contender, wrong_in):
    found = judge(context(candidate=contender(wrong_in(0.02)), limits=SHORT))
    assert "beside people alone" in found.reason
    assert found.evidence["containment_change"] > 0.3


@pytest.mark.parametrize(("lacking", "result"), [("csat", "pass"), ("service_level", "inconclusive")])
def test_a_figure_that_was_not_measured_is_inconclusive_but_for_ratings_that_nobody_gave(
    context, contender, monkeypatch, lacking, result
):
    def forecast(gap):
        return {kpi.name: SimpleNamespace(**dict.fromkeys(("mean", "low", "high"), gap(kpi.name))) for kpi in KPIS}

    period = SimpleNamespace(study=Study(days=1.0), scenario="quiet", unlearned=(), figures=forecast(lambda _: 0.5))
    differences = forecast(lambda name: None if name == lacking else 0.0)
    found = SimpleNamespace(base=period, changed=period, differences=differences)
    monkeypatch.setattr("headset.validation.business.what_if", lambda *_, **__: found)
    judged = judge(context(candidate=contender(), champion=contender(version="1")))
    assert judged.result == result
    assert ("not measured: service level" in judged.reason) == (result == "inconclusive")


def test_too_few_rows_are_inconclusive(context, rows):
    assert judge(context(rows=rows(40))).result == "inconclusive"


def test_a_scenario_keeps_its_own_trade():
    scenario = read_scenario("quiet_week")
    names = tuple(load_phrasebook("en").intents)
    assert fit_scenario(scenario, names)[0] is scenario


def test_another_trade_takes_the_scenarios_queues_in_turn():
    fitted, catalogue = fit_scenario(read_scenario("quiet_week"), ("card", "loan", "loan", "swap"))
    assert fitted.intents == {"card": 0.25, "loan": 0.5, "swap": 0.25}
    assert sorted(name for queue in fitted.queues.values() for name in queue.takes) == sorted(catalogue.usual)


def test_a_scenario_that_cannot_speak_of_the_rows_is_refused():
    scenario = read_scenario("retail_year")
    assert scenario.incidents
    with pytest.raises(InvalidInput):
        fit_scenario(replace(scenario), ("card", "loan"))
