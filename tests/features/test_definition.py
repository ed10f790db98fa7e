from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from headset.core.errors import InvalidInput
from headset.features.aggregation import Count, Distinct, Ewma, Last, Max, Mean, Quantile, Sum, VectorMean
from headset.features.definition import Feature, FeatureService, FeatureView, pinned
from headset.features.expression import column, seconds_since
from headset.features.on_demand import OnDemandFeature

MEAN = Feature(name="mean", expression=column("sentiment"), aggregation=Mean(), window="1 h")
HIGH = Feature(name="high", expression=column("sentiment"), aggregation=Quantile(0.9), window="7 d", default=0.5)
TREND = Feature(name="trend", expression=column("sentiment") * 2, aggregation=Ewma("1 h"), window="4 h")
TURNS = Feature(name="turns", aggregation=Count(), window="1 d")
WAIT = seconds_since("HandoffRequested", column("reason").equals("sentiment"))
MANY = (
    MEAN,
    HIGH,
    TREND,
    TURNS,
    Feature(
        name="sum", expression=(column("position") + 0.1) / (column("sentiment") - 3), aggregation=Sum(), window="1 s"
    ),
    Feature(name="max", expression=WAIT, aggregation=Max(), window="400 d", default=-0.0),
    Feature(name="kinds", expression=column("speaker_id"), aggregation=Distinct(), window="5 min"),
    Feature(name="last", expression=column("speaker"), aggregation=Last(), window="1 d", default='it\'s "é"'),
    Feature(name="flag", expression=column("sentiment").is_null(), aggregation=Last(), window="1 d", default=False),
    Feature(name="vector", expression=column("embedding"), aggregation=VectorMean(3), window="1 d"),
)
FILTERS = (
    None,
    column("speaker").equals("customer"),
    ~(column("sentiment").otherwise(0) * 2 <= 1e-300) | (column("position") >= 2) & (WAIT < 5),
)
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
    assert VIEW.versions == {
        "mean": "8e155d0849f6",
        "high": "4f2687332e61",
        "trend": "d7c233dc0461",
        "turns": "cce12527f123",
    }
    assert VIEW.version == "f91372432230"
    assert pinned(VIEW, {"sentiment": "vader-3.3.2"}).version == "0c1f52d476de"


def test_a_view_has_other_versions_under_another_version_of_its_signals():
    signals = {"sentiment": "vader-3.3.2", "embedding": "static-1"}
    view = pinned(VIEW, signals)
    assert view.signals == {"sentiment": "vader-3.3.2"}
    assert {name for name, version in view.versions.items() if version != VIEW.versions[name]} == {
        "mean",
        "high",
        "trend",
    }
    assert pinned(view, signals) is view
    newer = pinned(view, signals | {"sentiment": "vader-4"})
    assert not set(newer.versions.values()) & (set(view.versions.values()) - {VIEW.versions["turns"]})
    assert newer.versions["turns"] == VIEW.versions["turns"]


def test_signals_of_a_filter_and_of_a_condition_are_part_of_the_meaning():
    of_condition = seconds_since("TurnReceived", column("sentiment") < 0)
    for view in (
        structs.replace(VIEW, features=(TURNS,), filter=column("sentiment") < 0),
        structs.replace(VIEW, features=(structs.replace(TURNS, expression=of_condition),)),
    ):
        assert pinned(view, {"sentiment": "vader-3.3.2"}).versions != view.versions


@given(data=st.data())
def test_definitions_are_read_back_as_they_were_written(data):
    features = tuple(
        structs.replace(feature, description=data.draw(st.text()))
        for feature in data.draw(st.lists(st.sampled_from(MANY), min_size=1, unique_by=lambda feature: feature.name))
    )
    view = structs.replace(
        VIEW, features=features, filter=data.draw(st.sampled_from(FILTERS)), owner=data.draw(st.text())
    )
    if "sentiment" in view.columns and data.draw(st.booleans()):
        view = pinned(view, {"sentiment": data.draw(st.text())})
    read = msgspec.json.decode(msgspec.json.encode(view), type=FeatureView)
    assert read == view
    assert read.versions == view.versions
    on_demand = OnDemandFeature(name="risen", expression=column("sentiment") > 0.5, default=True)
    service = FeatureService(name="risk", views=(view,), owner="", description="", on_demand=(on_demand,))
    again = msgspec.json.decode(msgspec.json.encode(service), type=FeatureService)
    assert again == service
    assert again.versions == service.versions


@pytest.mark.parametrize(
    "damage",
    [
        (b'"Mean"', b'"Median"'),
        (b'"TurnReceived"', b'"TurnRecieved"'),
        (b'"Column"', b'"Eval"'),
        (b'"1 h"', b"1"),
        (b'"speaker"', b'"speeker"'),
    ],
)
def test_what_is_no_definition_is_not_read(damage):
    written = msgspec.json.encode(VIEW)
    with pytest.raises((InvalidInput, msgspec.ValidationError)):
        msgspec.json.decode(written.replace(*damage), type=FeatureView)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expression": column("mood")}, "mood.mean.expression.mood: is no column here; there are"),
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
        ({"signals": {"embedding": "static-1"}}, "mood.signals: names embedding, of which it is not made"),
        ({"name": "on_demand"}, "name: 'on_demand' stands for on-demand features"),
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
