"""What every engine of the log promises, as tests.

An engine's test module subclasses :class:`LogContract` and says how to open a log; a durable engine
subclasses :class:`DurableLogContract` and says it twice in a row on the same place.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from headset.core.clock import ManualClock
from headset.core.errors import StorageFailed
from headset.core.ids import Ids, stable_id
from headset.events.appender import AsyncAppender
from headset.events.schema import ConversationEnded, Event, Sealed, TurnReceived

WRITERS = 8


class Scribe:
    """Writes plausible events, each with an id of its own."""

    def __init__(self, seed: int = 7) -> None:
        self.clock = ManualClock(1_700_000_000_000_000)
        self._ids = Ids(self.clock, Random(seed))

    def turn(self, conversation_id="c1", *, source="api", event_time=None, event_id=None, text="sealed"):
        self.clock.advance(0.001)
        return Event(
            event_id=event_id or self._ids.new(),
            event_time=self.clock.now() if event_time is None else event_time,
            subject=conversation_id or "model:intent",
            conversation_id=conversation_id,
            source=source,
            payload=TurnReceived(turn_id="1", position=0, speaker="customer", text=Sealed(text)),
        )

    def turns(self, count, conversation_id="c1"):
        return [self.turn(conversation_id) for _ in range(count)]


def ids_of(records):
    return [record.event.event_id for record in records]


def run_together(count, work):
    """Call ``work(number)`` in so many threads that start at once; return their results."""
    start = threading.Barrier(count)

    def begin(number):
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


class LogContract:
    """Subclass it and give :meth:`open_log`."""

    def open_log(self, folder, clock, **options):
        """A log kept in ``folder``; ``options`` are the engine's own."""
        raise NotImplementedError

    @pytest.fixture
    def scribe(self):
        return Scribe()

    @pytest.fixture
    def log(self, tmp_path, scribe):
        log = self.open_log(tmp_path, scribe.clock)
        yield log
        log.close()

    # -- appending -----------------------------------------------------------------------------

    def test_offsets_count_from_one_in_the_order_given(self, log, scribe):
        assert log.head() == 0
        assert log.append(scribe.turns(3)) == [1, 2, 3]
        assert log.append(scribe.turns(2)) == [4, 5]
        assert log.head() == 5

    def test_what_was_acknowledged_reads_back_equal_but_for_the_append_time(self, log, scribe):
        events = [scribe.turn(), scribe.turn(None), scribe.turn("ünï\n'\"", text="x" * 10_000)]
        scribe.clock.advance(60)
        log.append(events)
        for record, event in zip(log.read(), events, strict=True):
            assert record.event.append_time == scribe.clock.now()
            assert record.event.payload == event.payload
            assert (record.event.event_id, record.event.event_time) == (event.event_id, event.event_time)
            assert (record.event.subject, record.event.conversation_id) == (event.subject, event.conversation_id)
            assert (record.event.source, record.event.type) == (event.source, event.type)

    def test_appending_nothing_is_nothing(self, log):
        assert log.append([]) == []
        assert log.append_soon([]).result() == []
        assert log.head() == 0

    def test_a_future_resolves_when_its_events_are_readable(self, log, scribe):
        futures = [log.append_soon(scribe.turns(2)) for _ in range(20)]
        for future in futures:
            offsets = future.result()
            assert [record.offset for record in log.read(after=offsets[0] - 1, limit=2)] == offsets
        assert sorted(offset for future in futures for offset in future.result()) == list(range(1, 41))

    def test_appending_again_adds_nothing_and_returns_the_first_offset(self, log, scribe):
        first, second, third = scribe.turns(3)
        assert log.append([first, second]) == [1, 2]
        assert log.append([second, third, first]) == [2, 3, 1]
        assert log.head() == 3

    def test_a_duplicate_within_one_call_is_kept_once(self, log, scribe):
        first, second = scribe.turns(2)
        assert log.append([first, first, second, first]) == [1, 1, 2, 1]
        assert log.head() == 2

    def test_the_first_of_two_events_with_one_id_stays(self, log, scribe):
        event_id = stable_id("same")
        log.append([scribe.turn(event_id=event_id, text="first")])
        log.append([scribe.turn(event_id=event_id, text="second")])
        assert log.get(event_id).event.payload.text == "first"

    def test_a_large_call_is_kept_in_order(self, log, scribe):
        events = scribe.turns(3_000)
        assert log.append(events[:1_000]) == list(range(1, 1_001))
        assert log.append(events) == list(range(1, 3_001))
        assert ids_of(log.read(limit=5_000)) == [event.event_id for event in events]

    def test_the_log_is_the_sequence_of_first_appearances(self, tmp_path_factory):
        scribe = Scribe()
        events = scribe.turns(16)

        @settings(max_examples=25, deadline=None)
        @given(calls=st.lists(st.lists(st.integers(0, 15), max_size=8), max_size=8))
        def holds(calls):
            log = self.open_log(tmp_path_factory.mktemp("log"), scribe.clock)
            order: list[int] = []
            for call in calls:
                order += [number for number in dict.fromkeys(call) if number not in order]
                assert log.append([events[number] for number in call]) == [order.index(number) + 1 for number in call]
            assert ids_of(log.read()) == [events[number].event_id for number in order]
            log.close()

        holds()

    # -- reading -------------------------------------------------------------------------------

    def test_reading_resumes_behind_a_position_and_stops_at_the_limit(self, log, scribe):
        log.append(scribe.turns(10))
        assert [record.offset for record in log.read(after=3, limit=4)] == [4, 5, 6, 7]
        assert [record.offset for record in log.read(after=8)] == [9, 10]
        assert log.read(after=10) == []
        assert log.read(limit=0) == []

    def test_events_that_happened_earlier_keep_the_order_of_append(self, log, scribe):
        events = [scribe.turn(event_time=moment) for moment in (3_000, 1_000, 2_000, -5)]
        log.append(events)
        assert [record.event.event_time for record in log.read()] == [3_000, 1_000, 2_000, -5]

    def test_filters_choose_types_and_one_source(self, log, scribe):
        end = replace(scribe.turn(source="import:bank"), payload=ConversationEnded(ended_by="customer"))
        log.append([scribe.turn(), end, scribe.turn(source="import:bank")])
        assert [record.offset for record in log.read(types={"TurnReceived"})] == [1, 3]
        assert [record.offset for record in log.read(types=["ConversationEnded", "TurnReceived"])] == [1, 2, 3]
        assert [record.offset for record in log.read(source="import:bank")] == [2, 3]
        assert [record.offset for record in log.read(types={"TurnReceived"}, source="import:bank")] == [3]
        assert [record.offset for record in log.read(after=1, limit=1, types={"TurnReceived"})] == [3]
        assert log.read(types=()) == []

    def test_an_event_is_found_by_its_id(self, log, scribe):
        event, other = scribe.turns(2)
        log.append([event])
        assert log.get(event.event_id).offset == 1
        assert log.get(other.event_id) is None

    def test_a_conversation_is_found_whole_however_long_the_log(self, log, scribe):
        expected: dict[str, list[int]] = {}
        for number in range(60):
            conversation_id = f"c{number % 7}"
            offsets = log.append([*scribe.turns(50, conversation_id), scribe.turn(None)])
            expected.setdefault(conversation_id, []).extend(offsets[:-1])
        for conversation_id, offsets in expected.items():
            assert [record.offset for record in log.conversation(conversation_id)] == offsets
        assert log.conversation("unknown") == []

    # -- many at once --------------------------------------------------------------------------

    def test_racing_writers_get_offsets_of_their_own_without_gaps(self, log):
        def write(number):
            scribe = Scribe(number)
            return [(event, log.append([event])[0]) for event in scribe.turns(100)]

        pairs = [pair for share in run_together(WRITERS, write) for pair in share]
        assert sorted(offset for _, offset in pairs) == list(range(1, 100 * WRITERS + 1))
        kept = {record.offset: record.event.event_id for record in log.read(limit=10_000)}
        assert all(kept[offset] == event.event_id for event, offset in pairs)

    def test_one_writer_finds_its_events_in_the_order_it_sent_them(self, log):
        def write(number):
            events = Scribe(number).turns(50, f"c{number}")
            for future in [log.append_soon([event]) for event in events]:
                future.result()
            return events

        for number, events in enumerate(run_together(WRITERS, write)):
            assert ids_of(log.conversation(f"c{number}")) == [event.event_id for event in events]

    def test_the_same_events_told_by_all_writers_are_kept_once(self, log, scribe):
        events = scribe.turns(60)

        def write(number):
            order = list(events)
            Random(number).shuffle(order)
            return {event.event_id: log.append([event])[0] for event in order}

        answers = run_together(WRITERS, write)
        assert all(answer == answers[0] for answer in answers)
        assert sorted(ids_of(log.read())) == sorted(event.event_id for event in events)

    def test_late_commit_never_appears_behind_a_reader(self, log):
        done = threading.Event()
        seen: list[int] = []

        def follow():
            position = 0
            while True:
                last = done.is_set()
                records = log.read(after=position, limit=37)
                seen.extend(record.offset for record in records)
                position = seen[-1] if seen else 0
                if last and not records:
                    return

        reader = threading.Thread(target=follow)
        reader.start()
        run_together(WRITERS, lambda number: [log.append([event]) for event in Scribe(number).turns(60)])
        done.set()
        reader.join()
        assert seen == list(range(1, 60 * WRITERS + 1))

    def test_all_up_to_the_head_is_there_when_the_head_is_told(self, log):
        done, seen = threading.Event(), []

        def look():
            while not done.is_set():
                head = log.head()
                records = log.read(after=seen[-1] if seen else 0, limit=10_000)
                first = seen[-1] + 1 if seen else 1
                assert [record.offset for record in records if record.offset <= head] == list(range(first, head + 1))
                seen.append(head)

        with ThreadPoolExecutor(1) as pool:
            reader = pool.submit(look)
            run_together(WRITERS, lambda number: [log.append([event]) for event in Scribe(number).turns(60)])
            done.set()
            reader.result()

    def test_one_calls_events_lie_side_by_side(self, log):
        run_together(WRITERS, lambda number: [log.append(Scribe(number).turns(5, f"c{number}"))])
        names = [record.event.conversation_id for record in log.read()]
        assert all(len(set(names[start : start + 5])) == 1 for start in range(0, len(names), 5))

    def test_awaiting_appends_resolves_each_with_its_own_offsets(self, log, scribe):
        async def main():
            appender = AsyncAppender(log, asyncio.get_running_loop())
            calls = [scribe.turns(count % 3) for count in range(50)]
            return calls, await asyncio.gather(*[appender.append(call) for call in calls])

        calls, answers = asyncio.run(main())
        for call, offsets in zip(calls, answers, strict=True):
            assert [log.get(event.event_id).offset for event in call] == offsets

    def test_a_cancelled_wait_leaves_the_other_waits_alone(self, log, scribe):
        async def main():
            appender = AsyncAppender(log, asyncio.get_running_loop())
            first, second = appender.append(scribe.turns(1)), appender.append(scribe.turns(1))
            first.cancel()
            return await second

        assert asyncio.run(main()) == [2]

    def test_a_cancelled_future_keeps_nothing_and_harms_no_other(self, log, scribe):
        events = scribe.turns(100)
        futures = [log.append_soon([event]) for event in events]
        cancelled = [future.cancel() for future in futures[::2]]
        for event, future, gone in zip(events[::2], futures[::2], cancelled, strict=True):
            assert future.cancelled() == gone
            assert gone or future.result() == [log.get(event.event_id).offset]
        for event, future in zip(events[1::2], futures[1::2], strict=True):
            assert future.result() == [log.get(event.event_id).offset]
        (last,) = log.append(scribe.turns(1))
        assert last == log.head() == 101 - sum(cancelled)
        assert all(log.get(event.event_id) is None for event, gone in zip(events[::2], cancelled, strict=True) if gone)

    # -- the end -------------------------------------------------------------------------------

    def test_a_closed_log_says_so(self, tmp_path, scribe):
        log = self.open_log(tmp_path, scribe.clock)
        log.append(scribe.turns(1))
        log.close()
        with pytest.raises(StorageFailed, match="closed"):
            log.append(scribe.turns(1))
        with pytest.raises(StorageFailed, match="closed"):
            log.append_soon(scribe.turns(1))
        for read in (log.head, log.read, lambda: log.conversation("c1"), lambda: log.get(stable_id("x"))):
            with pytest.raises(StorageFailed, match="closed"):
                read()
        log.close()

    def test_closing_finishes_what_was_accepted(self, tmp_path, scribe):
        log = self.open_log(tmp_path, scribe.clock)
        futures = [log.append_soon([event]) for event in scribe.turns(200)]
        log.close()
        assert [future.result() for future in futures] == [[offset] for offset in range(1, 201)]

    def test_an_awaiter_learns_of_a_closed_log(self, tmp_path, scribe):
        log = self.open_log(tmp_path, scribe.clock)
        log.close()

        async def main():
            await AsyncAppender(log, asyncio.get_running_loop()).append(scribe.turns(1))

        with pytest.raises(StorageFailed, match="closed"):
            asyncio.run(main())


class DurableLogContract(LogContract):
    """For engines whose events outlive the process."""

    def test_events_and_their_ids_outlive_the_log(self, tmp_path, scribe):
        events = scribe.turns(3)
        for _ in range(2):
            log = self.open_log(tmp_path, scribe.clock)
            assert log.append(events) == [1, 2, 3]
            log.close()
        log = self.open_log(tmp_path, scribe.clock)
        assert ids_of(log.read()) == [event.event_id for event in events]
        assert log.append(scribe.turns(1)) == [4]
        log.close()

    def test_two_open_logs_of_one_place_are_one_log(self, tmp_path):
        logs = [self.open_log(tmp_path, Scribe().clock) for _ in range(2)]
        shared = Scribe(99).turns(30)

        def write(number):
            own = Scribe(number).turns(100)
            offsets = [logs[number % 2].append([event])[0] for event in own]
            return offsets, logs[number % 2].append(shared)

        answers = run_together(4, write)
        assert all(answer == answers[0][1] for _, answer in answers)
        assert [record.offset for record in logs[0].read(limit=1_000)] == list(range(1, 431))
        assert logs[0].read(limit=1_000) == logs[1].read(limit=1_000)
        for log in logs:
            log.close()
