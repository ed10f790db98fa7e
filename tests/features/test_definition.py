from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from headset.core.errors import InvalidInput
from headset.features.aggregation import Count, Distinct, Ewma, Last, Max, Mean, Quantile, Sum, VectorMean
from headset.features.definition import Feature, FeatureService, FeatureView
from headset.features.expression import column, seconds_since

MEAN = Feature(name="mean", expression=column("sentiment"), aggregation=Mean(), window="1 h")
HIGH = Feature(name="high", expression=column("sentiment"), aggregation=Quantile(0.9), window="7 d", default=0.5)
TREND = Feature(name="trend", expression=column("sentiment") * 2, aggregation=Ewma("1 h"), window="4 h")
TURNS = Feature(name="turns", aggregation=Count(), window="1 d")
VIEW = FeatureView(
    name="mood",
    entity="customer",
    event="TurnReceived",
    features=(MEAN, HIGH, TREND, TURNS),
    filter=column("speaker").equals("customer"),
    owner="care",
    description="How customers sound.",
)


@given(
    order=st.permutations(VIEW.features),
    owner=st.text(),
    description=st.text(),
    freshness=st.sampled_from(("1 s", "5 min")),
    name=st.sampled_from(("mood", "temper")),
    about=st.text(),
)
def test_what_does_not_change_values_does_not_change_versions(order, owner, description, freshness, name, about):
    features = tuple(structs.replace(feature, description=about) for feature in order)
    told = {"owner": owner, "description": description, "freshness": freshness, "name": name}
    other = structs.replace(VIEW, features=features, **told)
    assert other.versions == VIEW.versions
    assert other.version == VIEW.version


def test_durations_and_numbers_count_by_their_meaning():
    assert (
        structs.replace(VIEW, features=(structs.replace(MEAN, window="60 min"),)).versions["mean"]
        == (VIEW.versions["mean"])
    )
    same = structs.replace(TREND, aggregation=Ewma("3600 s"), expression=column("sentiment") * 2.0)
    assert structs.replace(VIEW, features=(same,)).versions["trend"] == VIEW.versions["trend"]


@pytest.mark.parametrize(
    "change",
    [
        {"window": "2 h"},
        {"expression": column("position")},
        {"expression": column("sentiment") + 0},
        {"aggregation": Sum()},
        {"aggregation": Quantile(0.5)},
        {"aggregation": Quantile(0.9)},
        {"aggregation": Ewma("30 min")},
        {"default": 0},
        {"default": 1.5},
    ],
)
def test_what_changes_values_changes_the_version_of_the_feature_and_the_view(change):
    other = structs.replace(VIEW, features=(structs.replace(MEAN, **change), HIGH, TREND, TURNS))
    differing = {name for name, version in other.versions.items() if VIEW.versions[name] != version}
    assert differing == {"mean"}
    assert other.version != VIEW.version


@pytest.mark.parametrize(
    "change",
    [{"entity": "agent"}, {"filter": None}, {"filter": column("speaker").differs("customer")}],
)
def test_a_view_of_other_facts_has_other_versions_throughout(change):
    other = structs.replace(VIEW, **change)
    assert not set(other.versions.values()) & set(VIEW.versions.values())


def test_each_meaning_has_a_version_of_its_own():
    kinds = (Mean(), Sum(), Max(), Last(), Distinct(), Count(), Quantile(0.9), Quantile(0.99), Ewma("1 h"), Ewma("2 h"))
    features = tuple(structs.replace(MEAN, name=f"f{place}", aggregation=kind) for place, kind in enumerate(kinds))
    assert len(set(structs.replace(VIEW, features=features).versions.values())) == len(kinds)


def test_versions_stay_the_same_between_releases():
    assert VIEW.versions["turns"] == "cce12527f123"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expression": column("mood")}, "mood.mean.expression.mood: is no column of TurnReceived"),
        ({"expression": column("speaker")}, "mood.mean.expression: is a word; Mean takes flag or number"),
        ({"expression": None}, "mood.mean.expression: is missing"),
        ({"expression": column("embedding")}, "mood.mean.expression: is a vector"),
        ({"window": "1 week"}, "mood.mean.window: '1 week' is no duration"),
        ({"window": "500 d"}, "mood.mean.window: '500 d' is too long"),
        ({"window": "conversation"}, "mood.mean.window: is the conversation, but the view is about a customer"),
        ({"aggregation": Quantile(9)}, "mood.mean.aggregation.q: is 9; a share is 0 to 1"),
        ({"aggregation": Ewma("1 min")}, "mood.mean.aggregation.half_life: 1 min is less than a 16th"),
        ({"aggregation": Ewma("soon")}, "mood.mean.aggregation.half_life: 'soon' is no duration"),
        ({"aggregation": VectorMean(0), "expression": column("embedding")}, "mood.mean.aggregation.size: is 0"),
        ({"aggregation": Sum(), "default": 1.0}, "mood.mean.default: is not for counts"),
        ({"default": "none"}, "mood.mean.default: 'none' is not a number"),
        ({"default": float("inf")}, "mood.mean.default: inf is not a finite number"),
        ({"name": "Mean"}, "mood.features: 'Mean' is no name"),
    ],
)
def test_a_feature_that_cannot_be_computed_is_refused_by_name(change, message):
    with pytest.raises(InvalidInput, match=message):
        structs.replace(VIEW, features=(structs.replace(MEAN, **change),))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"event": "TurnRecieved"}, "mood.event: 'TurnRecieved' is none of"),
        ({"entity": "queue", "event": "LabelRecorded"}, "mood.entity: LabelRecorded bears no queue"),
        ({"entity": "planet"}, "mood.entity: TurnReceived bears no planet"),
        ({"filter": column("sentiment")}, "mood.filter: is neither true nor false"),
        ({"filter": column("sentiment").equals("x")}, "mood.filter.*: is a word"),
        ({"filter": seconds_since("Nothing") > 1}, "mood.filter.Nothing: is no event type"),
        ({"features": ()}, "mood.features: is empty"),
        ({"features": (MEAN, MEAN)}, "mood.features: .* twice"),
        ({"freshness": "now"}, "mood.freshness: 'now' is no duration"),
        ({"name": "no name"}, "name: 'no name' is no name"),
    ],
)
def test_a_view_that_cannot_be_computed_is_refused_by_name(change, message):
    with pytest.raises(InvalidInput, match=message):
        structs.replace(VIEW, **change)


def test_a_service_has_the_versions_of_what_it_takes():
    service = FeatureService(name="risk", views=(VIEW,), owner="care", description="", only=("mood.turns", "mood.mean"))
    assert service.versions == {"mood.mean": VIEW.versions["mean"], "mood.turns": VIEW.versions["turns"]}
    assert service.version != structs.replace(service, only=()).version
    moved = structs.replace(service, views=(structs.replace(VIEW, features=(TURNS, MEAN, HIGH)),))
    assert moved.version == service.version


@pytest.mark.parametrize(
    ("change", "message"),
    [({"only": ("mood.men",)}, "risk.only: names mood.men"), ({"views": (VIEW, VIEW)}, "risk.views: .*twice")],
)
def test_a_service_that_names_what_is_not_there_is_refused(change, message):
    service = FeatureService(name="risk", views=(VIEW,), owner="care", description="")
    with pytest.raises(InvalidInput, match=message):
        structs.replace(service, **change)
