"""Definitions are planned, applied and projected; what a model in use reads stays live."""

from __future__ import annotations

import subprocess
import sys
import threading
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from headset.core.clock import ManualClock
from headset.core.errors import Conflict, InvalidInput, NotFound
from headset.core.ids import Ids
from headset.events.memory import MemoryLog
from headset.events.schema import Event, FeatureServiceApplied, FeatureViewApplied
from headset.features.aggregation import Count, Last, Mean
from headset.features.catalogue import Catalogue
from headset.features.definition import Feature, FeatureService, FeatureView
from headset.features.expression import column
from headset.features.on_demand import OnDemandFeature
from headset.features.plan import Definitions, Difference, OldVersion, Usage, plan

SENTIMENT = Feature(name="sentiment", expression=column("sentiment"), aggregation=Mean(), window="1 h", default=0)
LONGER = structs.replace(SENTIMENT, window="2 h")
TURNS = Feature(name="turns", aggregation=Count(), window="1 d")
MORE_TURNS = structs.replace(TURNS, window="7 d")
LAST = Feature(name="last", expression=column("speaker"), aggregation=Last(), window="1 d")
MOOD = FeatureView(
    name="mood",
    entity="customer",
    event="TurnReceived",
    features=(SENTIMENT, TURNS),
    owner="care",
    description="How customers sound.",
)
PACE = structs.replace(MOOD, name="pace", features=(LAST,))
FELL = OnDemandFeature(name="fell", expression=column("sentiment") < column("mood.sentiment"))


def view(*features, name="mood", **changes):
    return structs.replace(MOOD, name=name, features=features, **changes)


def service(*views, name="risk", **options):
    return FeatureService(name=name, views=views, owner="care", description="", **options)


def defined(*found):
    return Definitions(
        views=tuple(each for each in found if isinstance(each, FeatureView)),
        services=tuple(each for each in found if isinstance(each, FeatureService)),
    )


def usage(reads, version="1", aliases=("champion",), queues=("billing",)):
    return Usage(
        model="risk", version=version, aliases=aliases, service=reads.name, features=reads.versions, queues=queues
    )


class Home:
    """A catalogue that definitions are applied to."""

    def __init__(self, folder):
        self.clock = ManualClock(1_800_000_000_000_000)
        self.log = MemoryLog(self.clock)
        self.folder = folder
        self.catalogue = self.open()

    def open(self):
        return Catalogue(self.log, self.folder, self.clock, Ids(self.clock, Random(1)))

    def apply(self, *found, users=(), commit="c1"):
        planned = plan(self.catalogue, defined(*found), users)
        self.catalogue.apply(planned, commit=commit)
        return planned

    def live(self):
        return [each.version for each in self.catalogue.views()]


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "projections")
    yield made
    made.catalogue.close()


def changes(planned):
    return {(change.what, change.name): change.action for change in planned.changes}


def test_what_is_applied_is_live(home):
    planned = home.apply(MOOD, PACE, service(MOOD, on_demand=(FELL,)))
    assert changes(planned) == {("view", "mood"): "added", ("view", "pace"): "added", ("service", "risk"): "added"}
    assert home.catalogue.views() == [MOOD, PACE]
    assert home.catalogue.view("mood") == MOOD
    assert home.catalogue.service("risk") == service(MOOD, on_demand=(FELL,))
    assert home.catalogue.services() == [home.catalogue.service("risk")]


def test_applying_again_changes_nothing(home):
    home.apply(MOOD, service(MOOD))
    head = home.log.head()
    planned = home.apply(structs.replace(MOOD, features=MOOD.features[::-1]), service(MOOD))
    assert planned.is_empty
    assert set(changes(planned).values()) == {"unchanged"}
    assert home.log.head() == head


def test_a_change_says_exactly_what_changes_and_whom_it_touches(home):
    home.apply(MOOD, PACE, service(MOOD))
    changed = view(LONGER, TURNS, owner="quality", filter=column("speaker").equals("customer"))
    planned = plan(home.catalogue, defined(changed, PACE, service(changed)), [usage(service(MOOD))])
    change, unchanged, served = planned.changes
    assert (change.action, change.before, change.after) == ("changed", MOOD.version, changed.version)
    assert change.differences == (
        Difference("filter", None, "(speaker = 'customer')"),
        Difference("owner", "care", "quality"),
        Difference("sentiment.window", "1 h", "2 h"),
    )
    assert (change.services, change.models, change.queues) == (("risk",), ("risk 1 (champion)",), ("billing",))
    assert (unchanged.action, unchanged.models) == ("unchanged", ())
    assert served.action == "changed"
    assert [each.field for each in served.differences] == ["mood.sentiment", "mood.turns"]
    assert home.catalogue.views() == [MOOD, PACE]  # a plan changes nothing


def test_a_change_of_what_is_computed_on_demand_is_told(home):
    fixed = OnDemandFeature(name="low", expression=column("sentiment") < 0)
    home.apply(MOOD, service(MOOD, on_demand=(FELL, fixed)))
    other = structs.replace(FELL, expression=column("sentiment") < column("mood.sentiment") / 2, default=False)
    late = OnDemandFeature(name="late", expression=column("position") > 9, default=True)
    planned = plan(home.catalogue, defined(MOOD, service(MOOD, on_demand=(other, late))), [usage(service(MOOD))])
    change = planned.changes[1]
    assert (change.action, change.models) == ("changed", ("risk 1 (champion)",))
    assert change.differences == (
        Difference("on_demand.fell.expression", "(sentiment < mood.sentiment)", "(sentiment < (mood.sentiment / 2))"),
        Difference("on_demand.fell.default", None, "False"),
        Difference("on_demand.low", "(sentiment < 0)", None),
        Difference("on_demand.late", None, "(position > 9), else True"),
    )


def test_a_new_signal_version_is_a_change(home):
    home.apply(*defined(MOOD).pinned({"sentiment": "vader-3.3.2"}).views)
    newer = defined(MOOD, service(MOOD)).pinned({"sentiment": "vader-4", "embedding": "static-1"})
    (change, _) = plan(home.catalogue, newer, ()).changes
    assert change.differences == (Difference("signals.sentiment", "vader-3.3.2", "vader-4"),)
    assert newer.services[0].versions == service(newer.views[0]).versions


def test_whom_it_touches_is_every_queue_where_nobody_knows(home):
    home.apply(MOOD)
    users = [usage(service(MOOD)), usage(service(MOOD), version="2", aliases=("candidate",), queues=())]
    (change,) = plan(home.catalogue, defined(view(LONGER, TURNS)), users).changes
    assert change.models == ("risk 1 (champion)", "risk 2 (candidate)")
    assert change.queues == ("*",)


def test_a_model_that_no_alias_points_at_is_not_touched(home):
    home.apply(MOOD)
    planned = home.apply(view(LONGER, TURNS), users=[usage(service(MOOD), aliases=())])
    assert planned.changes[0].models == ()
    assert home.live() == [view(LONGER, TURNS).version]


def test_another_owner_or_description_is_no_new_version(home):
    home.apply(MOOD, service(MOOD))
    told = structs.replace(
        MOOD, owner="quality", features=(structs.replace(SENTIMENT, description="How they sound."), TURNS)
    )
    planned = home.apply(told, service(told))
    assert changes(planned) == {("view", "mood"): "described", ("service", "risk"): "unchanged"}
    assert home.catalogue.views() == [told]


def test_an_old_version_lives_while_a_model_in_use_reads_it(home):
    reads = service(MOOD)
    home.apply(MOOD, reads)
    newer = view(LONGER, TURNS)
    planned = home.apply(newer, service(newer), users=[usage(reads)])
    assert planned.old == (OldVersion("mood", MOOD.version, ("risk 1 (champion)",)),)
    assert home.live() == [newer.version, MOOD.version]
    assert home.catalogue.view("mood") == newer
    assert home.catalogue.resolve(reads).versions == reads.versions
    planned = home.apply(newer, service(newer), users=[usage(reads, aliases=()), usage(service(newer), version="2")])
    assert planned.old == (OldVersion("mood", MOOD.version, ()),)
    assert home.live() == [newer.version]
    with pytest.raises(NotFound, match=f"risk.views: no live view has mood.sentiment {MOOD.versions['sentiment']}"):
        home.catalogue.resolve(reads)


def test_a_view_that_gained_a_feature_serves_the_model_of_before(home):
    reads = service(MOOD, on_demand=(FELL,))
    home.apply(MOOD)
    wider = view(SENTIMENT, TURNS, LAST)
    home.apply(wider, users=[usage(reads)])
    assert home.live() == [wider.version]
    resolved = home.catalogue.resolve(reads)
    assert resolved.versions == reads.versions
    assert resolved.views == (wider,)


def test_a_service_reads_live_views(home):
    home.apply(MOOD, service(MOOD, only=("mood.turns",)))
    home.apply(view(LONGER, TURNS), service(MOOD, only=("mood.turns",)))
    assert home.live() == [view(LONGER, TURNS).version]
    found = home.catalogue.service("risk")
    assert found.views == (view(LONGER, TURNS),)
    assert found.versions == service(MOOD, only=("mood.turns",)).versions


def test_a_view_of_which_a_service_takes_nothing_need_not_be_live(home):
    reads = service(MOOD, PACE, only=("mood.turns",))
    home.apply(MOOD, PACE, reads)
    home.apply(MOOD, reads, users=[usage(reads)])
    assert home.catalogue.service("risk").views == (MOOD,)
    assert home.catalogue.resolve(reads).versions == reads.versions


def test_a_service_is_known_in_each_version_it_ever_had(home):
    for window in (SENTIMENT, LONGER):
        home.apply(view(window), service(view(window)))
    home.apply(MOOD)
    for window in (SENTIMENT, LONGER):
        assert home.catalogue.applied("risk", service(view(window)).version) == service(view(window))
    assert home.catalogue.applied("risk", "another") is None


def test_an_old_version_lives_while_a_service_reads_it(home):
    home.apply(MOOD)
    home.apply(view(LONGER, TURNS), service(MOOD))
    assert home.live() == [view(LONGER, TURNS).version, MOOD.version]
    home.apply(view(LONGER, TURNS))
    assert home.live() == [view(LONGER, TURNS).version]


def test_going_back_is_a_change_like_any_other(home):
    for each in (MOOD, view(LONGER, TURNS), MOOD):
        home.apply(each)
        assert home.catalogue.views() == [each]
    assert [(entry.version, entry.live) for entry in home.catalogue.history("mood")] == [
        (MOOD.version, True),
        (view(LONGER, TURNS).version, True),
        (MOOD.version, False),
        (MOOD.version, True),
        (view(LONGER, TURNS).version, False),
    ]


def test_what_is_not_wanted_any_more_is_removed(home):
    home.apply(MOOD, PACE, service(MOOD))
    planned = home.apply(PACE, users=[usage(service(MOOD), aliases=())])
    assert changes(planned)["view", "mood"] == changes(planned)["service", "risk"] == "removed"
    assert home.catalogue.views() == [PACE]
    assert home.catalogue.services() == []
    with pytest.raises(NotFound, match="view: 'mood' is not live; there are pace"):
        home.catalogue.view("mood")
    with pytest.raises(NotFound, match="service: 'risk' is not live; nothing is; apply"):
        home.catalogue.service("risk")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ((PACE,), r"mood: is read by risk 1 \(champion\), risk 2 \(candidate\); keep it"),
        ((view(TURNS), PACE), r"mood.sentiment: is read by risk 1 \(champion\)"),
        ((MOOD, PACE), r"risk: is read by risk 1 \(champion\), risk 2 \(candidate\); keep the service"),
    ],
)
def test_what_a_model_in_use_reads_is_not_removed(home, wanted, message):
    home.apply(MOOD, PACE, service(MOOD))
    users = [usage(service(MOOD)), usage(service(MOOD), version="2", aliases=("candidate",))]
    with pytest.raises(Conflict, match=message):
        plan(home.catalogue, defined(*wanted), users)


def test_values_of_another_kind_need_another_name(home):
    home.apply(MOOD)
    word = structs.replace(SENTIMENT, expression=column("speaker"), aggregation=Last(), default="bot")
    with pytest.raises(Conflict, match=r"mood.sentiment: gives a number and would give a word; give .* another name"):
        plan(home.catalogue, defined(view(word, TURNS)), ())


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((service(MOOD),), r"risk.views: reads the view mood, which is not defined"),
        ((view(LONGER, TURNS), service(MOOD)), r"risk.views: reads sentiment of another mood than the view defined"),
    ],
)
def test_a_service_reads_what_is_defined(home, found, message):
    with pytest.raises(InvalidInput, match=message):
        plan(home.catalogue, defined(*found), ())


def test_a_name_stands_for_one_definition():
    with pytest.raises(InvalidInput, match="mood: is the name of two different views"):
        defined(MOOD, view(TURNS))
    with pytest.raises(InvalidInput, match="risk: is the name of two different services"):
        defined(service(MOOD), service(PACE))


def test_a_plan_of_an_older_catalogue_is_refused(home):
    planned = plan(home.catalogue, defined(MOOD), ())
    home.apply(PACE)
    with pytest.raises(Conflict, match="plan: was made before"):
        home.catalogue.apply(planned, commit="")


def test_history_says_when_and_from_which_code(home):
    home.apply(MOOD, commit="c1")
    home.clock.advance(1)
    home.apply(view(LONGER, TURNS), commit="c2")
    told = [(entry.commit, entry.when) for entry in home.catalogue.history() if entry.live]
    assert told == [("c1", "2027-01-15T08:00:00.000000Z"), ("c2", "2027-01-15T08:00:01.000000Z")]
    assert home.catalogue.history("pace") == []


def test_all_of_a_plan_is_appended_at_once(home):
    home.apply(MOOD, PACE, service(MOOD))
    appended = []
    append, home.log.append = home.log.append, lambda events: appended.append(list(events))
    home.apply(view(LONGER, TURNS))
    home.log.append = append
    assert [[event.type for event in events] for events in appended] == [
        ["FeatureViewApplied", "FeatureServiceRemoved", "FeatureViewRemoved", "FeatureViewRemoved"]
    ]


def test_a_definition_that_cannot_be_read_is_passed_over_and_can_be_applied_again(home):
    payload = FeatureViewApplied(name="mood", version="v", definition='{"name": "mood"}', commit="")
    event = Event(event_id=Ids(home.clock, Random(2)).new(), event_time=1, subject="x", source="x", payload=payload)
    home.log.append([event])
    assert home.catalogue.views() == []
    home.apply(MOOD, commit="c1")
    assert home.catalogue.views() == [MOOD]


class MyMean(Mean, frozen=True):
    """An aggregation nobody else knows."""


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"description": 5}, "description"),
        ({"owner": None}, "owner"),
        ({"description": "\ud800"}, "kept"),
        ({"description": "x" * 2_000_000}, "limits"),
        ({"features": (structs.replace(TURNS, description=None),)}, "features"),
        ({"features": (structs.replace(LONGER, aggregation=MyMean()),)}, "MyMean"),
    ],
)
def test_a_definition_that_nobody_could_read_back_is_refused(change, word):
    with pytest.raises(InvalidInput, match=word):
        Definitions(views=(structs.replace(MOOD, **change),))


def test_a_definition_that_is_nested_too_deeply_is_refused():
    deep = column("sentiment")
    for _ in range(150):
        deep = deep + 1
    with pytest.raises(InvalidInput, match="deep"):
        Definitions(views=(structs.replace(MOOD, features=(structs.replace(LONGER, expression=deep),)),))


def test_of_two_who_apply_at_once_one_is_told_to_plan_again(home):
    home.apply(MOOD, commit="c1")
    plans = [plan(home.catalogue, Definitions(views=(each,)), ()) for each in (PACE, view(LONGER))]
    other = Catalogue(home.log, home.folder, home.clock, Ids(home.clock, Random(3)))
    told = []
    threads = [
        threading.Thread(target=lambda pair=pair: told.append(_tried(pair)))
        for pair in zip((home.catalogue, other), plans, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(told) == ["applied", "plan again"]


def _tried(pair):
    catalogue, planned = pair
    try:
        catalogue.apply(planned, commit="c2")
    except Conflict:
        return "plan again"
    return "applied"


def test_all_versions_ever_applied_are_listed_also_those_that_cannot_be_read_any_more(home):
    longer = view(LONGER, TURNS)
    home.apply(MOOD, PACE, service(MOOD), commit="c1")
    home.clock.advance(1)
    home.apply(longer, service(longer), commit="c2")
    told = [(each.name, each.definition, each.live, each.commit) for each in home.catalogue.view_versions()]
    assert told[0] == ("mood", longer, True, "c2")
    assert sorted(told[1:], key=lambda each: each[0]) == [("mood", MOOD, False, "c1"), ("pace", PACE, False, "c1")]
    assert home.catalogue.view_versions()[0].when == "2027-01-15T08:00:01.000000Z"
    told = [(each.version, each.definition, each.live) for each in home.catalogue.service_versions()]
    assert told == [(reads.version, reads, live) for reads, live in ((service(longer), True), (service(MOOD), False))]

    home.apply(MOOD, commit="c3")  # again: it is the newest, and live
    assert next((each.definition, each.live) for each in home.catalogue.view_versions()) == (MOOD, True)
    assert not any(each.live for each in home.catalogue.service_versions())
    old = (FeatureViewApplied, "view", "{}"), (FeatureServiceApplied, "service", '{"name": "old"}')
    for number, (kind, name, definition) in enumerate(old, 7):
        payload = kind(name=name, version="v", definition=definition, commit="")
        home.log.append([Event(event_id=UUID(int=number), event_time=1, subject="x", source="x", payload=payload)])
    assert next((each.name, each.definition) for each in home.catalogue.view_versions()) == ("view", None)
    assert next((each.name, each.live) for each in home.catalogue.service_versions()) == ("service", True)
    assert home.catalogue.applied("service", "v") is None


FEATURES = {"sentiment": (SENTIMENT, LONGER), "turns": (TURNS, MORE_TURNS), "last": (LAST,)}
some_features = st.lists(st.sampled_from(sorted(FEATURES)), min_size=1, unique=True).flatmap(
    lambda names: st.tuples(*(st.sampled_from(FEATURES[name]) for name in names))
)
some_views = st.lists(st.tuples(st.sampled_from("ab"), some_features), min_size=1, unique_by=lambda made: made[0])


@settings(max_examples=30)
@given(steps=st.lists(st.tuples(some_views, st.booleans()), min_size=1, max_size=6), data=st.data())
def test_a_model_in_use_always_finds_what_it_reads(tmp_path_factory, steps, data):
    home = Home(tmp_path_factory.mktemp("home"))
    users, services = [], []
    for made, registers in steps:
        views = [view(*features, name=name) for name, features in made]
        try:
            home.apply(*views, users=users)
        except Conflict:
            continue
        newest = {each.name: each.version for each in reversed(home.catalogue.views())}
        assert newest == {each.name: each.version for each in views}
        assert plan(home.catalogue, defined(*views), users).is_empty
        for reads in services:
            assert home.catalogue.resolve(reads).versions == reads.versions
        if registers:
            reads = service(*data.draw(st.lists(st.sampled_from(views), min_size=1, unique_by=lambda each: each.name)))
            if data.draw(st.booleans()):
                only = data.draw(st.lists(st.sampled_from(list(reads.stored)), min_size=1, unique=True))
                reads = structs.replace(reads, only=tuple(only))
            services.append(reads)
            users.append(structs.replace(usage(reads, version=str(len(users))), service=""))
    found, history = home.catalogue.views(), home.catalogue.history()
    home.catalogue.close()
    (home.folder / "features.db").unlink()
    home.catalogue = home.open()
    assert home.catalogue.views() == found
    assert home.catalogue.history() == history
    home.catalogue.close()


def test_definitions_are_read_once_until_somebody_applies_others(home):
    home.apply(MOOD, commit="c1")
    (known,) = home.catalogue.views()
    assert home.catalogue.views()[0] is known
    other = Catalogue(home.log, home.folder, home.clock, Ids(home.clock, Random(4)))
    other.apply(plan(other, Definitions(views=(MOOD, PACE)), ()), commit="c2")
    other.close()
    assert [each.name for each in home.catalogue.views()] == ["mood", "pace"]
    assert home.catalogue.views("pace") == [PACE]


FIRST_TOGETHER = """
import sys, threading
sys.setswitchinterval(1e-6)
import msgspec
from headset.features import catalogue
from headset.features.definition import FeatureView
from headset.features.families import SENTIMENT

text, together = msgspec.json.encode(SENTIMENT).decode(), threading.Barrier(8)

def read():
    together.wait()
    assert catalogue._readable(text, FeatureView) == SENTIMENT

threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_may_be_the_first_to_read_the_catalogue_together():
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", FIRST_TOGETHER], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
