from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from contracts.store import (
    DAY,
    HOUR_US,
    KEYS,
    MOOD,
    PERSON,
    RESPONSE,
    RISK,
    SECOND,
    START,
    VERSIONS,
    VIEWS,
    FeatureRequest,
    StoreContract,
    agree,
    expected,
    feed,
    happen,
    plain,
    requests,
    service,
    turn,
    vector,
)
from msgspec import structs
from redis import Redis

from headset.backends.redis import RedisStore
from headset.core.clock import ManualClock
from headset.core.errors import InvalidInput, StorageFailed

WRITER = Path(__file__).with_name("killed_store_writer.py")
REQUEST = FeatureRequest({"conversation": "c0", "customer": "ana"}, START)


@pytest.fixture
def url(requires_service):
    return requires_service("redis")


@pytest.fixture
def engine(url):
    """A client of the tests' Redis, which sees what stores do."""
    with Redis.from_url(url) as engine:
        yield engine


@pytest.fixture
def prefix(engine):
    """Begins the names of all keys of a test; they are deleted after it."""
    prefix = f"test-{os.urandom(6).hex()}"
    yield prefix
    for name in engine.scan_iter(match=f"{prefix}*", count=1_000):
        engine.unlink(name)


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def open_store(url, prefix, clock):
    """Opens stores that share the test's keys."""
    opened = []

    def new(url=url, **options):
        options = {"prefix": prefix, "clock": clock, "timeout_s": 5.0} | options
        opened.append(RedisStore(url, **options))
        return opened[-1]

    yield new
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store):
    store = open_store()
    store.install(VIEWS)
    return store


class Wire:
    """A TCP connection to Redis that can be cut and held up."""

    def __init__(self, url):
        place = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
        host, _, port = place.partition(":")
        self._there = host, int(port or 6379)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._flowing = threading.Event()
        self._flowing.set()
        self._open = True
        self._ends = []
        self.questions = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self):
        """Let nothing through any more."""
        self._flowing.clear()

    def let(self):
        """Let all through again."""
        self._flowing.set()
        self._open = True

    def cut(self):
        """End all connections, and any new one."""
        self._open = False
        for end in self._ends:
            end.close()
        self._ends.clear()

    def close(self):
        self.cut()
        self._flowing.set()
        self._listener.close()

    def _accept(self):
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            if not self._open:
                here.close()
                continue
            there = socket.create_connection(self._there)
            self._ends += [here, there]
            for source, target, asks in ((here, there, True), (there, here, False)):
                threading.Thread(target=self._pump, args=(source, target, asks), daemon=True).start()

    def _pump(self, source, target, asks):
        try:
            while content := source.recv(1 << 16):
                self._flowing.wait()
                self.questions += asks
                target.sendall(content)
        except OSError:
            pass
        finally:
            for end in (source, target):
                end.close()


@pytest.fixture
def wire(url):
    wire = Wire(url)
    yield wire
    wire.close()


class TestRedisStore(StoreContract):
    @pytest.fixture
    def open_store(self, open_store):
        return open_store

    @pytest.fixture
    def open_anew(self, open_store, prefix):
        return lambda: open_store(prefix=f"{prefix}-{os.urandom(6).hex()}")

    @pytest.fixture
    def held(self, engine, prefix):
        return lambda store: b"".join((store.snapshot(), *dumped(engine, prefix)))


# -- several processes -------------------------------------------------------------------------


def test_what_one_writes_another_reads(store, open_store):
    facts = happen(random.Random(1), 60)
    reader = open_store()
    reader.install(VIEWS)
    for stop in (10, 11, 30, len(facts)):
        feed(store, facts[:stop])
        agree(reader, facts[:stop])


def test_several_writers_of_one_log_lose_nothing(open_store):
    facts = happen(random.Random(2), 400)
    writers = [open_store() for _ in range(3)]

    def follow(writer, number):
        writer.install(VIEWS)
        feed(writer, facts, random.Random(number))

    threads = [threading.Thread(target=follow, args=one) for one in zip(writers, range(3), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for writer in writers:
        agree(writer, facts)


def test_batches_that_overlap_and_come_late_change_nothing(open_store):
    facts = happen(random.Random(3), 60)
    quick, slow = open_store(), open_store()
    for writer in (quick, slow):
        writer.install(VIEWS)
        writer.write(facts[:10], 10, VERSIONS)
    quick.write(facts[10:40], 40, VERSIONS)
    slow.write(facts[10:25], 25, VERSIONS)
    assert set(quick.positions().values()) == {40}
    slow.write(facts[20:50], 50, VERSIONS)
    quick.write(facts[30:], facts[-1].offset, VERSIONS)
    agree(quick, facts)
    agree(slow, facts)


def test_a_new_writer_without_a_snapshot_folds_again_what_needs_trails_and_nothing_else(store, open_store, engine):
    facts = happen(random.Random(4), 60)
    feed(store, facts)
    other = open_store()
    other.install(VIEWS)
    end = facts[-1].offset
    assert other.positions() == {MOOD.version: end, PERSON.version: end, RESPONSE.version: 0}
    facts.append(turn(end + 1, facts[-1].event_time - 5 * SECOND, known=facts[-1].append_time, number=10_000))
    feed(other, facts)
    agree(other, facts)
    agree(store, facts)


def test_readers_hear_of_an_erasure_and_nothing_of_it_stays_in_redis(store, open_store, engine, prefix):
    secret = vector(random.Random(5))
    facts = [turn(1, START, sentiment=0.5), turn(2, START + SECOND, embedding=secret), turn(3, START + 2 * SECOND)]
    feed(store, facts)
    reader = open_store()
    reader.install(VIEWS)
    agree(reader, facts)
    assert any(secret in content for content in dumped(engine, prefix))
    facts[1] = structs.replace(facts[1], columns={"speaker": "customer"})
    store.rewrite([facts[1]], VERSIONS)
    assert not any(secret in content for content in dumped(engine, prefix))
    agree(reader, facts)
    feed(store, [*facts, turn(4, START + 3 * SECOND)])
    agree(reader, [*facts, turn(4, START + 3 * SECOND)])


def dumped(engine, prefix):
    return [repr(engine.xrange(name)).encode() + content for name in engine.scan_iter(match=f"{prefix}:*")
            for _, entry in engine.xrange(name) for content in entry.values()]  # fmt: skip


def test_what_was_not_erased_for_want_of_redis_is_erased_by_the_next_write(open_store, wire, engine, prefix):
    store = open_store(wire.url)
    store.install(VIEWS)
    secret = vector(random.Random(6))
    facts = [turn(1, START, embedding=secret)]
    feed(store, facts)
    wire.cut()
    with pytest.raises(StorageFailed):
        store.rewrite([turn(1, START)], VERSIONS)
    wire.let()
    store.write([], 2, VERSIONS)
    assert not any(secret in content for content in dumped(engine, prefix))
    agree(store, [turn(1, START), turn(2, START, number=1)])


def test_what_was_erased_before_redis_took_it_never_gets_there(open_store, wire, engine, prefix):
    store = open_store(wire.url)
    store.install(VIEWS)
    assert set(store.positions().values()) == {0}
    secret = vector(random.Random(6))
    wire.cut()
    with pytest.raises(StorageFailed):
        store.write([turn(1, START, embedding=secret)], 1, VERSIONS)
    with pytest.raises(StorageFailed):
        store.rewrite([turn(1, START)], VERSIONS)
    wire.let()
    store.write([turn(1, START)], 1, VERSIONS)
    assert not any(secret in content for content in dumped(engine, prefix))
    agree(store, [turn(1, START)])


def test_a_reader_with_little_room_forgets_rows_not_values(store, open_store):
    facts = happen(random.Random(7), 80)
    feed(store, facts)
    reader = open_store(cached_rows=20)
    reader.install(VIEWS)
    for _ in range(3):
        agree(reader, facts)
        assert reader._cached <= 20
        assert reader._cached == sum(len(kept.rows.rows) for kept in reader._cache.values())


def test_threads_read_while_another_writes(store, open_store):
    facts = happen(random.Random(8), 300)
    reader = open_store(cached_rows=50)
    reader.install(VIEWS)
    feed(store, facts[:1])
    done, problems = threading.Event(), set()

    def read():
        while not done.is_set():
            problems.update(row.problem for row in reader.read(RISK, requests(START + 30 * DAY)))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    feed(store, facts, random.Random(9))
    done.set()
    for thread in threads:
        thread.join()
    assert problems == {""}
    agree(reader, facts)


def test_a_process_that_only_reads_stands_where_redis_does(store, open_store):
    reader = open_store(fills=False)
    reader.install(VIEWS)
    assert reader.positions() == dict.fromkeys(VERSIONS, 0)
    facts = happen(random.Random(19), 60)
    feed(store, facts)
    assert reader.positions() == dict.fromkeys(VERSIONS, facts[-1].offset)


def test_a_redis_that_is_not_filled_yet_is_a_problem(store, open_store):
    reader = open_store(fills=False)
    reader.install(VIEWS)
    store.write([turn(1, START)], 1, [MOOD.version, PERSON.version])
    rows = reader.read(RISK, [REQUEST, REQUEST])
    assert [row.problem for row in rows] == [
        "Redis holds nothing of view 'response' yet; the worker fills it from the log"
    ] * 2
    assert plain(rows[0]) == expected([], REQUEST)
    feed(store, [turn(1, START)])
    agree(reader, [turn(1, START)])


def test_a_writer_that_is_behind_another_puts_facts_anew(open_store):
    facts = [turn(number, START + number * SECOND, sentiment=number / 8) for number in range(1, 5)]
    facts[1] = structs.replace(facts[1], columns={"speaker": "bot", "sentiment": 0.5})
    quick, slow = open_store(), open_store()
    for writer in (quick, slow):
        writer.install(VIEWS)
        writer.write(facts[:2], 2, VERSIONS)
    quick.write(facts[2:], 4, VERSIONS)
    agree(quick, facts)
    facts[1] = structs.replace(facts[1], columns={"speaker": "customer", "sentiment": 0.75})
    slow.rewrite([facts[1]], VERSIONS)  # it comes into a view, and the other has gone on there
    agree(quick, facts)
    feed(slow, facts)
    agree(slow, facts)


def test_a_rewrite_of_what_redis_does_not_hold_disturbs_no_reader(store, open_store):
    facts = [turn(1, START), turn(2, START + 40 * DAY, "c1"), turn(3, START + 100 * DAY, "c1")]
    feed(store, facts)
    reader = open_store()
    reader.install(VIEWS)
    agree(reader, facts)
    epoch = store._asked().epoch
    store.rewrite([facts[2]], VERSIONS)  # as it was
    store.rewrite([turn(1, START, "c7")], VERSIONS)  # older than all windows
    assert store._asked().epoch == epoch
    agree(reader, facts)


def test_a_read_that_failed_says_why_whatever_other_threads_find(store, open_store, wire, monkeypatch):
    feed(store, [turn(1, START)])
    reader = open_store(wire.url)
    reader.install(VIEWS)
    wire.cut()
    hang_up = reader._hang_up

    def meanwhile():
        reader._problem = ""  # as another thread's success leaves it
        hang_up()

    monkeypatch.setattr(reader, "_hang_up", meanwhile)
    assert reader.read(RISK, [REQUEST])[0].problem.startswith("Redis at ")


# -- one round trip ----------------------------------------------------------------------------


def test_a_read_is_one_command_whatever_it_asks_for(store, open_store, wire):
    facts = happen(random.Random(10), 60)
    feed(store, facts)
    reader = open_store(wire.url)
    reader.install(VIEWS)
    agree(reader, facts)
    before = wire.questions
    for _ in range(5):
        reader.read(RISK, requests(facts[-1].append_time))
    assert wire.questions - before == 5
    feed(store, [*facts, turn(len(facts) + 1, facts[-1].append_time, number=10_000)])
    reader.read(RISK, requests(facts[-1].append_time))
    assert wire.questions - before == 6


def test_a_write_is_one_command(open_store, wire):
    store = open_store(wire.url)
    store.install(VIEWS)
    facts = happen(random.Random(11), 60)
    store.write(facts[:20], 20, VERSIONS)
    before = wire.questions
    store.write(facts[20:50], 50, VERSIONS)
    assert wire.questions - before == 1


def test_a_large_batch_is_written_in_parts(store):
    facts = [turn(number, START + number * SECOND, f"c{number % 3}", sentiment=0.5) for number in range(1, 1_501)]
    feed(store, facts)
    request = FeatureRequest({"conversation": "c1", "customer": "ana"}, facts[-1].event_time)
    assert plain(store.read(RISK, [request])[0]) == expected(facts, request)


# -- without Redis -----------------------------------------------------------------------------


def test_without_redis_reads_give_defaults_and_say_why(open_store, clock):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    store = open_store(f"redis://:hunter2@127.0.0.1:{port}")
    store.install(VIEWS)
    row = store.read(RISK, [REQUEST])[0]
    assert row.problem.startswith(f"Redis at 127.0.0.1:{port}: Error 111 connecting")
    assert row.unknown == ("mood", "person", "response")
    assert plain(row) == expected([], REQUEST)
    for work in (store.positions, lambda: store.write([], 1, VERSIONS), lambda: store.expire(START)):
        with pytest.raises(StorageFailed, match=f"Redis at 127.0.0.1:{port}"):
            work()


def test_redis_cut_off_and_back_is_noticed(store, open_store, wire, clock):
    facts = happen(random.Random(12), 60)
    feed(store, facts[:30])
    reader = open_store(wire.url, retry_after_s=1.0)
    reader.install(VIEWS)
    agree(reader, facts[:30])
    wire.cut()
    assert {row.problem != "" for row in reader.read(RISK, requests(START))} == {True}
    feed(store, facts)
    wire.let()
    assert reader.read(RISK, [REQUEST])[0].problem  # not asked again yet
    clock.advance(1.1)
    agree(reader, facts)


def test_a_redis_that_is_slow_is_waited_for_once(store, open_store, wire, clock):
    feed(store, [turn(1, START)])
    reader = open_store(wire.url, timeout_s=0.05, retry_after_s=1.0)
    reader.install(VIEWS)
    agree(reader, [turn(1, START)])
    wire.hold()
    asked = wire.questions
    assert "Timeout" in reader.read(RISK, [REQUEST])[0].problem
    began = time.monotonic()
    assert all(reader.read(RISK, [REQUEST])[0].problem for _ in range(100))
    assert time.monotonic() - began < 2.5  # 5 s if each were waited for
    wire.let()
    assert wire.questions <= asked + 1
    feed(store, [turn(1, START), turn(2, START)])
    clock.advance(1.1)
    agree(reader, [turn(1, START), turn(2, START)])


def test_a_write_that_got_no_answer_is_told_again_without_harm(open_store, wire):
    store = open_store(wire.url)
    store.install(VIEWS)
    facts = happen(random.Random(13), 80)
    rng = random.Random(14)
    while (position := min(positions_of(store, wire))) < facts[-1].offset:
        if rng.random() < 0.5:
            wire.cut()
        try:
            store.write(facts[position : position + 9], min(position + 9, facts[-1].offset), VERSIONS)
        except StorageFailed:
            wire.let()
    agree(store, facts)


def positions_of(store, wire):
    wire.let()
    return store.positions().values()


def test_the_password_is_in_no_message(url):
    store = RedisStore(url.replace("redis://", "redis://ana:hunter2@").replace("@@", "@"), prefix="test-password")
    store.install(VIEWS)
    problem = store.read(RISK, [REQUEST])[0].problem
    with pytest.raises(StorageFailed) as failed:
        store.positions()
    assert "hunter2" not in problem + str(failed.value) + repr(store)
    store.close()


@pytest.mark.parametrize(
    "wrong",
    [
        "http://ana:hunter2@h",
        "redis://:hunter2@",
        "redis://:hunter2@h:x",
        "redis://:hunter2@h:65536",
        "redis://:hunter2@h:-1",
        "redis://h/a",
        "redis://:hunter2@h/-1",
        "redis://:hunter2@h/0/1",
        "redis://:hunter2@h/" + "1" * 5_000,
        "redis://h?password=hunter2",
        "redis://h/0?db=hunter2",
        "redis://h?",
        "redis://h#hunter2",
        "redis://:hunter2#h",
        "redis://:hunter2?@h",
        "redis://[hunter2]",
        "redis://[:hunter2@h",
        "unix://:hunter2@/socket",
        "",
    ],
)
def test_what_is_no_url_of_a_redis_is_refused_without_repeating_it(wrong):
    with pytest.raises(InvalidInput, match=r"features.store: is no URL of a Redis; write redis://") as refused:
        RedisStore(wrong)
    assert "hunter2" not in str(refused.value)


def test_what_another_program_wrote_is_a_problem_and_no_error(store, engine, prefix, clock):
    feed(store, [turn(1, START)])
    name = f"{prefix}:{MOOD.version}:c0"
    engine.xadd(name, {b"x": b"\xc1"})
    assert store.read(RISK, [REQUEST])[0].problem
    engine.delete(name)
    engine.set(name, "x")
    clock.advance(2)
    assert store.read(RISK, [REQUEST])[0].problem
    engine.delete(name)


# -- healing -----------------------------------------------------------------------------------


def test_a_redis_that_lost_everything_is_filled_again(store, open_store, engine, prefix):
    facts = happen(random.Random(15), 60)
    feed(store, facts[:50])
    reader = open_store()
    reader.install(VIEWS)
    agree(reader, facts[:50])
    for name in engine.scan_iter(match=f"{prefix}*"):
        engine.delete(name)
    row = reader.read(RISK, [structs.replace(REQUEST, as_of=START + DAY)])[0]
    assert (row.position, row.unknown) == (0, ("mood", "person", "response"))
    assert (
        row.problem == "Redis holds nothing of view 'mood', 'person', 'response' yet; the worker fills it from the log"
    )
    with pytest.raises(StorageFailed, match="has lost what it held; fold the log again"):
        store.write(facts[50:], facts[-1].offset, VERSIONS)
    assert set(store.positions().values()) == {0}
    feed(store, facts)
    agree(reader, facts)
    agree(store, facts)


def test_a_redis_that_lost_the_newest_writes_gets_them_again(store, open_store, engine, prefix):
    """As after a failover to a replica that was behind."""
    facts = happen(random.Random(16), 60)
    feed(store, facts[:30])
    kept = {name: (engine.dump(name), max(0, engine.pttl(name))) for name in engine.scan_iter(match=f"{prefix}*")}
    feed(store, facts[:50])
    reader = open_store()
    reader.install(VIEWS)
    agree(reader, facts[:50])
    for name in engine.scan_iter(match=f"{prefix}*"):
        engine.delete(name)
    for name, (content, ttl) in kept.items():
        engine.restore(name, ttl, content)
    with pytest.raises(StorageFailed):
        store.write(facts[50:], facts[-1].offset, VERSIONS)
    feed(store, facts)
    agree(store, facts)
    agree(reader, facts)


def test_dropped_versions_are_deleted_and_others_are_not(store, open_store, engine, prefix):
    feed(store, happen(random.Random(17), 60))
    other = open_store(prefix=f"{prefix}-other")
    other.install(VIEWS)
    feed(other, happen(random.Random(17), 60))
    store.install((MOOD,))
    held = {name.split(b":")[1].decode() for name in engine.scan_iter(match=f"{prefix}:*")}
    assert held == {MOOD.version}
    assert {name.split(b":")[1].decode() for name in engine.scan_iter(match=f"{prefix}-other:*")} == set(VERSIONS)


def test_entries_left_over_from_a_lost_state_do_not_stop_a_writer(store, open_store, engine, prefix):
    facts = happen(random.Random(18), 60)
    feed(store, facts)
    engine.delete(f"{prefix}/positions", f"{prefix}/state")
    with pytest.raises(StorageFailed):
        store.write([], facts[-1].offset, VERSIONS)
    feed(store, facts)
    agree(store, facts)


def test_nothing_outlives_what_a_read_can_reach_by_more_than_a_day(store, engine, prefix):
    short = structs.replace(MOOD, features=tuple(one for one in MOOD.features if one.window == "1 h"))
    store.install((short,))
    kept = DAY + 2 * HOUR_US
    facts = [turn(number, START + number * HOUR_US, sentiment=0.5) for number in range(1, 101)]
    feed(store, facts)
    name = f"{prefix}:{short.version}:c0"
    newest = facts[-1].append_time
    offsets = [int(entry.partition(b"-")[0]) for entry, _ in engine.xrange(name)]
    assert all(facts[offset - 1].append_time > newest - kept for offset in offsets)
    assert offsets[-1] == 100
    assert 0 < engine.pttl(name) <= kept // 1_000


@pytest.mark.slow
def test_a_writer_killed_again_and_again_leaves_exact_aggregates(url, open_store, prefix, seed):
    facts = happen(random.Random(seed), 1_500)
    rng = random.Random(seed)
    store = open_store()
    store.install(VIEWS)
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, WRITER, url, prefix, str(seed)], stdout=subprocess.PIPE)
        writer.stdout.readline()  # it has begun
        time.sleep(rng.uniform(0.01, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    reached = min(open_positions(store).values())
    assert reached > 0
    subprocess.run([sys.executable, WRITER, url, prefix, str(seed)], check=True, stdout=subprocess.DEVNULL)
    agree(store, facts)


def open_positions(store):
    """How far Redis has each version."""
    return store._asked().positions


def test_every_key_of_the_contract_has_an_entity():
    assert {one.entity for one in VIEWS} == set(KEYS)
    assert service(RESPONSE).views == (RESPONSE,)
