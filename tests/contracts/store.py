"""What every engine of the online store promises, as tests.

An engine's test module subclasses :class:`StoreContract` and says how to open a store.
"""

from __future__ import annotations

import math
import random
import re
import threading
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from headset.core.errors import InvalidInput
from headset.events.schema import Event, TurnReceived
from headset.features.aggregation import Count, Distinct, Ewma, Last, Max, Mean, Quantile, Sum, VectorMean
from headset.features.definition import Feature, FeatureService, FeatureView
from headset.features.expression import column, seconds_since
from headset.features.fact import Fact, FactReader
from headset.features.incremental import HOUR_US, Incremental
from headset.features.store import FeatureRequest

SECOND, MINUTE, DAY = 1_000_000, 60_000_000, 86_400_000_000
START = 20_000 * DAY
SIZE = 4
SENTIMENT, SPEAKER = column("sentiment"), column("speaker")
KEYS = {"conversation": ("c0", "c1", "c2", "ünï :*"), "customer": ("ana", "bo"), "agent": ("kim", "lee")}


def feature(name, aggregation, window="1 h", expression=SENTIMENT, **change):
    return Feature(name=name, aggregation=aggregation, window=window, expression=expression, **change)


def view(name, entity, *features, where=None):
    return FeatureView(
        name=name, entity=entity, event="TurnReceived", features=features, owner="", description="", filter=where
    )


MOOD = view(
    "mood",
    "conversation",
    feature("turns", Count(), "conversation", None),
    feature("mean", Mean(), default=0.5),
    feature("total", Sum(), "10 min"),
    feature("trend", Ewma("5 min")),
    feature("speakers", Distinct(), "conversation", SPEAKER),
    feature("history", VectorMean(SIZE), "conversation", column("embedding")),
)
PERSON = view(
    "person",
    "customer",
    feature("highest", Max(), "1 d"),
    feature("median", Quantile(0.5), "1 d"),
    feature("last", Last(), "7 d"),
    where=SPEAKER.equals("customer"),
)
ANSWER_S = seconds_since("TurnReceived", SPEAKER.equals("customer"))
RESPONSE = view(
    "response",
    "agent",
    feature("seconds", Mean(), "1 d", ANSWER_S),
    feature("slow", Count(), "1 d", ANSWER_S),
    where=SPEAKER.equals("agent") & (ANSWER_S < 90),
)
VIEWS = (MOOD, PERSON, RESPONSE)
VERSIONS = [one.version for one in VIEWS]
SLOWER = structs.replace(MOOD, features=(feature("mean", Mean(), "2 h", default=0.5), *MOOD.features[2:]))


def service(*views, **change):
    return FeatureService(name="risk", views=views, owner="", description="", **change)


RISK = service(*VIEWS)


def turn(offset, time, conversation="c0", speaker="customer", *, known=None, number=None, **columns):
    keys = {"conversation": conversation, "customer": ("ana", "bo")[len(conversation) % 2]}
    if speaker == "agent":
        keys["agent"] = ("kim", "lee")[offset % 2]
    event_id = (offset if number is None else number).to_bytes(16, "big")
    columns = {"speaker": speaker, **columns}
    return Fact("TurnReceived", event_id, time, time if known is None else known, offset, keys, columns)


def vector(rng):
    return np.array([rng.uniform(-1, 1) for _ in range(SIZE)], "<f4").tobytes()


def happen(rng, count):
    """A log of turns: 5 % an hour late or more, 2 % told again."""
    arrived = []
    for number in range(count):
        time = START + 10 * SECOND * rng.randrange(1 + count)
        delay = rng.choice((HOUR_US, DAY)) if rng.random() < 0.05 else rng.choice((0, SECOND))
        columns = {
            "sentiment": rng.choice((rng.uniform(-1, 1), -0.5, 1e-9)),
            "embedding": vector(rng),
        }
        columns = {name: value for name, value in columns.items() if rng.random() < 0.9}
        said = (time, rng.choice(KEYS["conversation"]), rng.choice(("customer", "agent", "bot")), number, columns)
        arrived += [(time + delay, said)] * (2 if rng.random() < 0.02 else 1)
    arrived.sort(key=lambda one: one[0])
    return [
        # An event told twice is the same fact both times, but for when.
        structs.replace(
            turn(number + 1, time, conversation, speaker, known=known, number=number, **columns), offset=offset
        )
        for offset, (known, (time, conversation, speaker, number, columns)) in enumerate(arrived, 1)
    ]


def requests(as_of):
    return [
        FeatureRequest({"conversation": conversation, "customer": customer, "agent": agent}, as_of)
        for conversation in (*KEYS["conversation"], "unheard")
        for customer, agent in zip(KEYS["customer"], KEYS["agent"], strict=True)
    ]


def plain(row):
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in row.values.items()}


def expected(facts, request):
    """What :class:`Incremental` gives."""
    return told(folded(facts), request)


def folded(facts):
    store = Incremental(VIEWS)
    for fact in facts:
        store.update(fact)
    return store


def told(store, request):
    values = {}
    for one in VIEWS:
        found = store.read(one.name, request.keys.get(one.entity, ""), request.as_of)
        values |= {f"{one.name}.{name}": value for name, value in found.items()}
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in sorted(values.items())}


def feed(store, facts, rng=None):
    """Tell ``store`` the log from where it stands, in batches as a follower does."""
    end = facts[-1].offset
    while (positions := store.positions()) and (least := min(positions.values())) < end:
        versions = [version for version, position in positions.items() if position == least]
        reached = end if rng is None else min(end, least + rng.randrange(1, 20))
        store.write([fact for fact in facts if least < fact.offset <= reached], reached, versions)


def agree(store, facts, as_of=None):
    as_of = max(fact.append_time for fact in facts) if as_of is None else as_of
    asked = requests(as_of)
    rows = store.read(RISK, asked)
    assert [row.problem for row in rows] == [""] * len(asked)
    assert [row.position for row in rows] == [facts[-1].offset] * len(asked)
    oracle = folded(facts)
    for request, row in zip(asked, rows, strict=True):
        assert plain(row) == told(oracle, request)
        assert list(row.values) == sorted(row.values)


class StoreContract:
    """Subclass it and give :meth:`open_store`; all stores of one test share an engine, if it can be shared."""

    @pytest.fixture
    def open_store(self):
        """A function that opens a store on the test's engine; its options are the engine's own."""
        raise NotImplementedError

    @pytest.fixture
    def open_anew(self):
        """A function that opens a store on an engine of its own."""
        raise NotImplementedError

    @pytest.fixture
    def held(self):
        """A function that gives all that a store and its engine hold, as bytes."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_store):
        store = open_store()
        store.install(VIEWS)
        return store

    # -- values --------------------------------------------------------------------------------

    @settings(
        max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
    )
    @given(st.randoms(use_true_random=True), st.integers(1, 120))
    def test_values_equal_those_of_the_incremental_execution(self, open_anew, rng, count):
        facts, store = happen(rng, count), open_anew()
        store.install(VIEWS)
        for stop in sorted(rng.sample(range(1, len(facts) + 1), min(3, len(facts)))):
            feed(store, facts[:stop], rng)
            newest = max(fact.append_time for fact in facts[:stop])
            agree(store, facts[:stop], newest + rng.choice((-HOUR_US, -MINUTE, 0, MINUTE, DAY)))

    def test_a_batch_told_again_makes_no_difference(self, store):
        facts = happen(random.Random(1), 60)
        feed(store, facts)
        for _ in range(2):
            store.write(facts[20:40], facts[39].offset, VERSIONS)
            store.write(facts, facts[-1].offset, VERSIONS)
        agree(store, facts)

    def test_a_late_fact_corrects_the_response_time_of_another(self, store):
        log = [turn(1, START), turn(2, START + 80 * SECOND, speaker="agent")]
        feed(store, log)
        request = FeatureRequest({"agent": "kim"}, START + 100 * SECOND)
        assert store.read(RISK, [request])[0].values["response.seconds"] == 80.0
        log.append(turn(3, START + 50 * SECOND, known=START + 101 * SECOND))
        feed(store, log)
        assert store.read(RISK, [request])[0].values["response.seconds"] == 30.0

    def test_a_late_fact_takes_another_out_of_the_filter(self, store):
        log = [turn(1, START + 40 * SECOND), turn(2, START + 80 * SECOND, speaker="agent")]
        log.append(turn(3, START + 300 * SECOND, speaker="agent", conversation="c1"))
        feed(store, log)
        agree(store, log)
        for number, late in enumerate((turn(4, START - 10 * SECOND), turn(5, START + 79 * SECOND)), 4):
            log.append(structs.replace(late, append_time=START + number * 200 * SECOND))
            feed(store, log)
            agree(store, log)

    def test_nothing_later_than_the_moment_asked_for_is_seen(self, store):
        log = [turn(number, START + number * SECOND) for number in range(1, 6)]
        feed(store, log)
        counts = [
            store.read(RISK, [FeatureRequest({"conversation": "c0"}, START + number * SECOND)])[0].values["mood.turns"]
            for number in range(7)
        ]
        assert counts == [0, 1, 2, 3, 4, 5, 5]

    def test_an_unknown_entity_has_defaults_and_is_named(self, store):
        feed(store, [turn(1, START, sentiment=0.25)])
        moment = START + SECOND
        nobody, somebody = store.read(
            RISK,
            [
                FeatureRequest({"conversation": "c9", "agent": "max"}, moment),
                FeatureRequest({"customer": "ana"}, moment),
            ],
        )
        assert nobody.unknown == ("mood", "person", "response")
        assert plain(nobody) == expected([], FeatureRequest({}, moment))
        assert nobody.problem == ""
        assert somebody.unknown == ("mood", "response")
        assert somebody.values["person.highest"] == 0.25

    def test_who_was_last_heard_of_before_all_windows_is_unknown(self, store):
        feed(store, [turn(1, START, sentiment=0.25)])
        seen = [
            store.read(RISK, [FeatureRequest({"customer": "ana"}, START + gap)])[0].unknown
            for gap in (0, 7 * DAY - 1, 7 * DAY)
        ]
        assert ["person" in unknown for unknown in seen] == [False, False, True]

    def test_a_service_takes_what_it_names(self, store):
        feed(store, [turn(1, START, sentiment=0.25)])
        two = service(MOOD, PERSON, only=("person.last", "mood.mean"))
        row = store.read(two, [FeatureRequest({"conversation": "c0", "customer": "ana"}, START)])[0]
        assert row.values == {"mood.mean": 0.25, "person.last": 0.25}
        assert list(row.values) == list(two.stored)
        one = service(MOOD, only=("mood.mean",))
        assert store.read(one, [FeatureRequest({"conversation": "c0"}, START)])[0].values == {"mood.mean": 0.25}

    def test_the_order_of_features_in_a_definition_makes_no_difference(self, store):
        feed(store, [turn(1, START, sentiment=0.25)])
        turned = structs.replace(MOOD, features=MOOD.features[::-1])
        request = FeatureRequest({"conversation": "c0"}, START)
        assert turned.version == MOOD.version
        assert plain(store.read(service(turned), [request])[0]) == plain(store.read(service(MOOD), [request])[0])

    def test_vectors_cannot_be_written_to(self, store):
        feed(store, [turn(1, START, embedding=vector(random.Random(1)))])
        row = store.read(RISK, [FeatureRequest({"conversation": "c0"}, START)])[0]
        with pytest.raises(ValueError, match="read-only"):
            row.values["mood.history"][0] = 1

    def test_nothing_asked_is_nothing(self, store):
        assert store.read(RISK, []) == []

    def test_absurd_numbers_and_times_leave_no_trace(self, store):
        reader, facts = FactReader(), []
        for number, (time, sentiment) in enumerate(
            [(START, 0.5), (START, math.nan), (START, math.inf), (-1, 0.1), (START + 9 * DAY, 0.1), (START, 1e300)], 1
        ):
            payload = TurnReceived(turn_id="1", position=0, speaker="customer", text="sealed", sentiment=sentiment)
            event = Event(
                event_id=UUID(int=number), event_time=time, append_time=START + SECOND, subject="customer:ana",
                source="t", conversation_id="c0", payload=payload,
            )  # fmt: skip
            fact = reader.read(event, offset=number)
            if fact is not None:
                facts.append(fact)
        store.write(facts, 6, VERSIONS)
        row = store.read(RISK, [FeatureRequest({"conversation": "c0", "customer": "ana"}, START + DAY // 48)])[0]
        assert row.position == 6
        assert [row.values[name] for name in ("mood.turns", "mood.mean", "person.highest")] == [4, 0.5, 0.5]
        assert reader.refused.total() == 5

    @pytest.mark.parametrize("as_of", [-(10**30), -1, 10**30])
    def test_absurd_moments_and_keys_are_answered(self, store, as_of):
        feed(store, [turn(1, START)])
        rows = store.read(RISK, [FeatureRequest({"conversation": "\ud800\0 *", "customer": ""}, as_of)])
        assert plain(rows[0]) == expected([], FeatureRequest({}, 0))

    def test_a_moment_out_of_reach_has_defaults_and_says_so(self, store):
        feed(store, [turn(1, START), turn(2, START + 3 * HOUR_US)])
        good, bad = store.read(
            RISK, [FeatureRequest({"conversation": "c0"}, START + 2 * HOUR_US - gap) for gap in (0, 60 * SECOND)]
        )
        assert (good.problem, good.values["mood.turns"]) == ("", 1)
        assert "60 s before what is kept; ask the history" in bad.problem
        assert bad.values["mood.turns"] == 0
        assert bad.unknown == ("mood", "person", "response")

    # -- versions ------------------------------------------------------------------------------

    def test_two_versions_are_live_at_once_and_apart(self, store):
        first, second = turn(1, START, sentiment=0.5), turn(2, START + 90 * MINUTE, sentiment=1.0)
        feed(store, [first])
        store.install((*VIEWS, SLOWER))
        assert store.positions() == dict.fromkeys(VERSIONS, 1) | {SLOWER.version: 0}
        store.write([first, second], 2, [SLOWER.version])
        request = FeatureRequest({"conversation": "c0"}, START + 91 * MINUTE)
        slow, quick = (store.read(service(one), [request])[0] for one in (SLOWER, MOOD))
        assert (slow.values["mood.mean"], slow.position) == (0.75, 2)
        assert (quick.values["mood.turns"], quick.position) == (1, 1)
        store.write([second], 2, VERSIONS)
        assert store.read(service(MOOD), [request])[0].values["mood.mean"] == 1.0

    def test_views_that_stand_at_different_offsets_are_a_problem(self, store):
        log = [turn(1, START, sentiment=0.25), turn(2, START + SECOND), turn(3, START + 2 * SECOND)]
        request = FeatureRequest({"conversation": "c0", "customer": "ana"}, START + MINUTE)
        feed(store, log[:1])
        store.write(log[1:], 3, [MOOD.version, RESPONSE.version])
        row = store.read(RISK, [request])[0]
        assert row.problem == "view 'person' is still being folded (offset 1 of 3)"
        assert (plain(row), row.position) == (expected([], request), 0)
        assert [store.read(service(one), [request])[0].position for one in VIEWS] == [3, 1, 3]
        feed(store, log)
        agree(store, log)

    def test_what_is_not_installed_is_dropped_and_a_problem(self, store):
        feed(store, [turn(1, START)])
        request = FeatureRequest({"conversation": "c0", "customer": "ana"}, START)
        store.install((MOOD,))
        row = store.read(RISK, [request])[0]
        assert row.problem == (
            f"not live: person (version {PERSON.version}), response (version {RESPONSE.version}); "
            "apply the definitions that the model was trained with"
        )
        assert plain(row) == expected([], request)
        assert store.read(service(MOOD), [request])[0].values["mood.turns"] == 1
        store.install(VIEWS)
        assert store.positions() == {MOOD.version: 1, PERSON.version: 0, RESPONSE.version: 0}
        row = store.read(RISK, [request])[0]
        assert (row.position, row.unknown) == (0, ("mood", "person", "response"))
        assert re.search("view 'person' is still being folded|nothing of view 'person', 'response' yet", row.problem)
        assert plain(row) == expected([], request)
        feed(store, [turn(1, START)])
        agree(store, [turn(1, START)])

    def test_a_version_that_is_not_live_is_passed_over(self, store):
        store.write([turn(1, START)], 1, [SLOWER.version, "unheard"])
        assert store.positions() == dict.fromkeys(VERSIONS, 0)

    def test_positions_do_not_move_back(self, store):
        facts = happen(random.Random(2), 30)
        feed(store, facts)
        store.write(facts[:10], 10, VERSIONS)
        store.write([], 0, VERSIONS)
        assert set(store.positions().values()) == {facts[-1].offset}

    # -- change --------------------------------------------------------------------------------

    def test_a_fact_told_anew_takes_the_place_of_what_it_said(self, store):
        rng = random.Random(3)
        facts = happen(rng, 40)
        feed(store, facts)
        agree(store, facts)
        erased = [
            structs.replace(fact, columns={name: value for name, value in fact.columns.items() if name == "speaker"})
            if fact.keys["conversation"] == "c1"
            else fact
            for fact in facts
        ]
        store.rewrite([fact for fact in erased if fact.keys["conversation"] == "c1"], VERSIONS)
        agree(store, erased)
        more = [*erased, turn(len(facts) + 1, facts[-1].event_time, "c1", number=10_000)]
        feed(store, more)
        agree(store, more)

    def test_a_fact_told_anew_may_leave_the_view_and_change_what_follows(self, store):
        facts = [turn(1, START), turn(2, START + 60 * SECOND), turn(3, START + 80 * SECOND, speaker="agent")]
        feed(store, facts)
        agree(store, facts)
        facts[1] = structs.replace(facts[1], columns={"speaker": "bot"})
        store.rewrite([facts[1]], VERSIONS)
        agree(store, facts)

    @pytest.mark.parametrize(("conversation", "later"), [("c0", DAY // 2), ("c1", DAY // 2), ("c1", 40 * DAY)])
    @pytest.mark.parametrize("expression", [None, ANSWER_S], ids=["alone", "since another"])
    def test_nothing_erased_is_left_of_a_fact_older_than_all_windows(
        self, store, held, conversation, later, expression
    ):
        said = feature("history", VectorMean(SIZE), "1 h", column("embedding"))
        kept = view("kept", "conversation", said, feature("turns", Count(), "1 h", expression))
        secret = vector(random.Random(7))
        log = [turn(1, START, embedding=secret), turn(2, START + later, conversation)]
        store.install((kept,))
        feed(store, log[:1])
        feed(store, log)
        assert secret in held(store)
        store.rewrite([structs.replace(log[0], columns={"speaker": "customer"})], [kept.version])
        assert secret not in held(store)
        row = store.read(service(kept), [FeatureRequest({"conversation": conversation}, log[-1].event_time)])[0]
        assert (row.problem, row.unknown, row.values["kept.history"].any()) == ("", (), False)

    def test_a_fact_not_come_to_yet_is_not_told_anew(self, store):
        feed(store, [turn(1, START)])
        store.rewrite([turn(2, START)], VERSIONS)
        assert store.read(RISK, [FeatureRequest({"conversation": "c0"}, START)])[0].values["mood.turns"] == 1

    def test_what_no_read_can_reach_is_forgotten(self, store):
        facts = [turn(1, START)]
        feed(store, facts)
        store.expire(START + HOUR_US + MINUTE)
        row, late = store.read(RISK, [FeatureRequest({"conversation": "c0"}, START + gap) for gap in (MINUTE, 0)])
        assert (row.values["mood.turns"], row.problem) == (1, "")
        assert "60 s before what is kept" in late.problem
        store.expire(START + 91 * DAY + HOUR_US)
        row = store.read(RISK, [FeatureRequest({"conversation": "c0"}, START + 91 * DAY)])[0]
        assert row.unknown == ("mood", "person", "response")
        assert set(store.positions().values()) == {1}

    # -- restarts ------------------------------------------------------------------------------

    def test_a_store_goes_on_from_a_snapshot_as_if_nothing_had_been(self, store, open_store):
        facts = happen(random.Random(4), 80)
        feed(store, facts[:50])
        content = store.snapshot()
        feed(store, facts[:60])
        store.close()
        other = open_store()
        other.install(VIEWS)
        other.restore(content)
        assert min(other.positions().values()) == 50
        feed(other, facts)
        agree(other, facts)

    def test_a_snapshot_taken_amid_writes_and_reads_misses_nothing(self, store, open_store):
        facts = happen(random.Random(5), 400)
        contents, problems = [], []

        def snapshot():
            while len(contents) < 5:
                contents.append(store.snapshot())

        def read():
            while len(contents) < 5:
                problems.extend(
                    row.problem for row in store.read(RISK, requests(START + DAY)) if "before" not in row.problem
                )

        feed(store, facts[:1])
        threads = [threading.Thread(target=work) for work in (snapshot, read)]
        for thread in threads:
            thread.start()
        feed(store, facts, random.Random(6))
        for thread in threads:
            thread.join()
        assert set(problems) <= {""}
        store.close()
        for content in contents:
            other = open_store()
            other.install(VIEWS)
            other.restore(content)
            feed(other, facts)
            agree(other, facts)
            other.close()

    def test_a_snapshot_restores_the_versions_in_it_and_no_others(self, store, open_store):
        feed(store, [turn(1, START)])
        content = store.snapshot()
        store.install(())
        other = open_store()
        other.install((SLOWER, RESPONSE))
        other.restore(content)
        assert other.positions()[SLOWER.version] == 0

    @pytest.mark.parametrize("content", [b"", b"\x00", b"\xc1", b"\x92\x01\x02", b"\x92\x09\x80", b"\x81\xa1\xff\x01"])
    def test_bytes_that_are_no_snapshot_are_refused(self, store, content):
        with pytest.raises(InvalidInput, match="fold the log again"):
            store.restore(content)
        feed(store, [turn(1, START)])
        agree(store, [turn(1, START)])
