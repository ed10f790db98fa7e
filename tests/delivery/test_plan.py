"""What a delivery would touch."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from headset.delivery.plan import Load, differences, touched
from headset.features.plan import Change, Definitions, Plan

SETTINGS = st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.integers(), st.text(max_size=5)), max_size=6)


@given(SETTINGS)
def test_nothing_differs_from_itself(settings):
    assert differences(settings, settings) == []


@given(SETTINGS, SETTINGS)
def test_differences_lead_from_the_one_to_the_other(before, after):
    said = {name: str(value) for name, value in before.items() if value is not None}
    for each in differences(before, after):
        assert said.get(each.field) == each.before
        said.pop(each.field, None)
        if each.after is not None:
            said[each.field] = each.after
    assert said == {name: str(value) for name, value in after.items() if value is not None}


def plan_of(*changes):
    return Plan(changes=changes, old=(), wanted=Definitions(), position=0)


def test_the_delivered_model_is_touched_in_all_its_queues():
    loads = {"intent": [Load("care", 80.0), Load("sales", 20.0)]}
    (found,) = touched("intent", SimpleNamespace(version="3"), plan_of(), loads, changes=2)
    assert (found.model, found.version, found.contacts_per_day) == ("intent", "3", 100.0)
    assert found.reason == "2 settings and files differ"


def test_a_model_that_reads_a_changed_feature_is_touched_too():
    changed = Change(action="changed", what="view", name="mood", models=("risk 4 (champion)",))
    same = Change(action="unchanged", what="view", name="visits", models=("other 1 (champion)",))
    loads = {"risk": [Load("care", 7.0)]}
    first, second = touched("intent", None, plan_of(changed, same), loads, changes=0)
    assert (first.version, first.reason) == (None, "would be the first version")
    assert (second.model, second.version, second.reason) == ("risk", "4", "reads mood")
    assert second.queues == [Load("care", 7.0)]
