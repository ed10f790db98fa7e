"""A generated log: the same for the same seed, true to the truth beside it, and whole wherever the run was stopped."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from headset.app import Installation
from headset.core.clock import ManualClock
from headset.core.config import load_config
from headset.core.errors import StorageFailed
from headset.events.schema import (
    ConversationEnded,
    ConversationStarted,
    DecisionServed,
    FeedbackRecorded,
    HandoffRequested,
    TurnReceived,
)
from headset.features.sentiment import Sentiment
from headset.twin.bot import Bot, BotVersion
from headset.twin.centre import DAY_S
from headset.twin.generate import generate
from headset.twin.tally import KPIS
from headset.twin.truth import Beginning, TrueContact, TrueEffect, TrueKpis, TruthFile, read_truth
from headset.twin.world import make_world

ARMS = [{"version": "1", "share": 0.5}, {"version": "2", "share": 0.5, "accuracy": 0.7}]
HONEST = {"automation_bias": 0.0, "label_error": 0.0, "feedback_ratio": 1.0}
ENOUGH = [{"name": name, "agents": 6, "queues": [name]} | HONEST for name in ("care", "technical")]


@contextmanager
def opened(home, seed=1):
    parts = Installation(load_config(home, {}, {}), clock=ManualClock(), entropy=random.Random(seed).randbytes)
    try:
        yield parts
    finally:
        parts.close()


def make(scenario, home, *, seed=1, days=0.5, truth=True, world=None, log=lambda log: log, **named):
    """Generate into a home folder, as ``headset twin generate`` does."""
    with opened(home, seed) as parts, TruthFile(home / "truth.jsonl") if truth else nullcontext() as lines:
        return generate(
            world or make_world(scenario),
            log=log(parts.log),
            door=parts.door,
            score=Sentiment().score,
            seed=seed,
            days=days,
            truth=lines,
            **{"clock": parts.clock} | named,
        )


def read_log(home):
    with opened(home) as parts:
        return parts.log.read(limit=10_000_000)


def said_by(records, kind):
    return [record.event for record in records if isinstance(record.event.payload, kind)]


@pytest.fixture(scope="module")
def made(small, tmp_path_factory):
    """Two days of two arms, whose agents label everything, and rightly."""
    home = tmp_path_factory.mktemp("made") / "home"
    scenario = small(
        bot={"arms": ARMS, "review_ratio": 1.0},
        customers={"retry_ratio": 0.0, "return_days": 1.0},
        teams=ENOUGH,
        contacts_per_day=300,
    )
    progress = []
    generated = make(scenario, home, days=2.0, progress=lambda *told: progress.append(told))
    lines = read_truth(home / "truth.jsonl")
    contacts = {line.conversation_id: line for line in lines if isinstance(line, TrueContact)}
    return SimpleNamespace(
        home=home, generated=generated, lines=lines, contacts=contacts, records=read_log(home), progress=progress
    )


def test_the_log_holds_what_was_generated(made):
    assert made.generated.events == len(made.records) > 5_000
    assert [record.offset for record in made.records] == list(range(1, len(made.records) + 1))
    assert made.generated.lost == 0
    begun = {event.conversation_id for event in said_by(made.records, ConversationStarted)}
    assert begun == set(made.contacts)
    assert made.generated.contacts == len(made.contacts)


def test_events_are_kept_in_order_of_time_and_id_and_not_before_they_happened(made):
    events = [record.event for record in made.records]
    assert [event.event_id for event in events] == sorted({event.event_id for event in events})
    assert [event.event_time for event in events] == sorted(event.event_time for event in events)
    assert all(event.append_time >= event.event_time for event in events)


def test_every_text_opens(made):
    opened_texts = Counter()
    with opened(made.home) as parts:
        for record in made.records:
            for field in ("text", "reply", "summary"):
                if sealed := getattr(record.event.payload, field, None):
                    assert parts.vault.open(record.event.subject, sealed).strip()
                    opened_texts[field] += 1
    assert min(opened_texts[field] for field in ("text", "reply", "summary")) > 100


def test_the_truth_begins_with_the_scenario_and_ends_with_the_effects(made):
    kinds = [type(line) for line in made.lines]
    assert kinds[0] is Beginning
    first_kpis = kinds.index(TrueKpis)
    assert set(kinds[1:first_kpis]) == {TrueContact}
    assert kinds[first_kpis:] == [TrueKpis] * 3 + [TrueEffect] * len(KPIS)
    figures = {line.arm: line for line in made.lines if isinstance(line, TrueKpis)}
    assert figures[None].figures == made.generated.figures
    assert figures[None].contacts == figures["1"].contacts + figures["2"].contacts


def test_the_true_kpis_are_those_of_the_true_contacts(made):
    for line in made.lines:
        if not isinstance(line, TrueKpis):
            continue
        contacts = [each for each in made.contacts.values() if line.arm in {None, each.arm}]
        people = [each for each in contacts if each.answered]
        found = {
            "containment": [each.bot_ended for each in contacts],
            "accuracy": [each.said == each.intent for each in contacts],
            "abandonment": [each.abandoned for each in contacts if not each.bot_ended],
            "transfer_rate": [each.transfers > 0 for each in people],
            "aht_s": [each.handled_s for each in people],
            "csat": [each.satisfaction for each in contacts],
        }
        for name, values in found.items():
            assert line.figures[name] == pytest.approx(sum(values) / len(values), abs=1e-4), name


def test_the_decision_record_finds_the_true_figures_of_each_arm(made):
    """Where everything is labelled, and rightly, the log tells what the truth knows."""
    ended = {event.conversation_id for event in said_by(made.records, ConversationEnded)}
    labelled = defaultdict(set)
    decisions = {event.payload.decision_id: event for event in said_by(made.records, DecisionServed)}
    for event in said_by(made.records, FeedbackRecorded):
        labelled[decisions[event.payload.decision_id].payload.model_version].add(event.conversation_id)
    with opened(made.home) as parts:
        reports = {each.model_version: each for each in parts.reports(None)}
    assert set(reports) == {"1", "2"}
    for version, report in reports.items():
        over = [each for name, each in made.contacts.items() if each.arm == version and name in ended]
        assert report.containment.of == len(over) > 100
        assert report.containment.count == sum(each.bot_ended for each in over)
        known = [made.contacts[name] for name in labelled[version]]
        right = sum(each.said == each.intent for each in known)
        assert (report.accuracy.count, report.accuracy.of) == (right, len(known))
        assert (report.override.count, report.override.of) == (len(known) - right, len(known))
        everybody = [each for each in made.contacts.values() if each.arm == version]
        true_accuracy = sum(each.said == each.intent for each in everybody) / len(everybody)
        assert report.accuracy.value == pytest.approx(true_accuracy, abs=0.06)  # reviews come late


def test_wrong_labels_come_as_often_as_the_team_errs(small, tmp_path):
    teams = [team | {"label_error": 0.3} for team in ENOUGH]
    make(small(teams=teams, bot={"review_ratio": 0.0}, customers={"retry_ratio": 0.0}), tmp_path / "home", days=2.0)
    contacts = {each.conversation_id: each for each in read_truth(tmp_path / "home" / "truth.jsonl")[1:-1]}
    feedback = said_by(read_log(tmp_path / "home"), FeedbackRecorded)
    wrong = [event.payload.intent != contacts[event.conversation_id].intent for event in feedback]
    assert sum(wrong) / len(wrong) == pytest.approx(0.3, abs=0.06)


def test_the_better_arm_contains_more_in_the_log_and_in_truth(made):
    effects = {line.kpi: line for line in made.lines if isinstance(line, TrueEffect)}
    assert set(effects) == set(KPIS)
    assert {(line.arm, line.baseline) for line in effects.values()} == {("2", "1")}
    assert effects["containment"].effect < -3 * effects["containment"].error < 0
    first, second = (line.figures for line in made.lines if isinstance(line, TrueKpis) and line.arm)
    assert first["containment"] > second["containment"]


def test_progress_is_told_to_the_end(made):
    phases = list(dict.fromkeys(phase for phase, _ in made.progress))
    assert phases == ["simulating small", "true effects"]
    for phase in phases:
        fractions = [fraction for told, fraction in made.progress if told == phase]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0


def test_equal_seeds_write_equal_bytes_with_or_without_the_truth(small, tmp_path):
    scenario = small()
    for name, seed, truth in (("one", 1, True), ("same", 1, True), ("silent", 1, False), ("other", 2, True)):
        make(scenario, tmp_path / name, seed=seed, truth=truth)
    log = {path.name: (path / "log" / "events.db").read_bytes() for path in tmp_path.iterdir()}
    assert log["one"] == log["same"] == log["silent"] != log["other"]
    truths = {path.name: path / "truth.jsonl" for path in tmp_path.iterdir()}
    assert truths["one"].read_bytes() == truths["same"].read_bytes() != truths["other"].read_bytes()
    assert not truths["silent"].exists()


def test_a_fraction_of_a_day_is_generated(small, tmp_path):
    make(small(), tmp_path / "home", days=0.1)
    times = [record.event.event_time for record in read_log(tmp_path / "home")]
    assert max(times) - min(times) <= 0.1 * DAY_S * 1e6


def test_a_log_takes_a_second_period_under_another_name(small, tmp_path):
    home = tmp_path / "home"
    first = make(small(), home, truth=False)
    second = make(small(), home, truth=False, name="again")
    records = read_log(home)
    assert len(records) == first.events + second.events
    names = Counter(event.conversation_id.partition("-")[0] for event in said_by(records, ConversationStarted))
    assert names == {"twin": first.contacts, "again": second.contacts}


def test_without_a_clock_the_log_says_when_it_was_really_written(small, tmp_path):
    home = tmp_path / "home"
    make(small(), home, clock=None)
    events = [record.event for record in read_log(home)]
    assert {event.append_time for event in events} == {ManualClock().now()}
    assert min(event.event_time for event in events) > 0


def test_a_silent_run_has_the_figures_of_the_log(small, simulate, tmp_path):
    scenario = small()
    generated = make(scenario, tmp_path / "home", seed=5, days=1.0)
    assert simulate(scenario, seed=5, days=1.0).centre.figures() == generated.figures


class Filling:
    """A log whose disk is full after some appends."""

    def __init__(self, log, appends):
        self._log = log
        self._appends = appends

    def append(self, events):
        if not self._appends:
            raise StorageFailed("the disk is full")
        self._appends -= 1
        return self._log.append(events)


def test_the_truth_is_never_ahead_of_a_log_that_could_not_be_written_on(small, tmp_path):
    home = tmp_path / "home"
    with pytest.raises(StorageFailed, match="the disk is full"):
        make(small(), home, days=2.0, log=lambda log: Filling(log, 20))
    ended = {event.conversation_id for event in said_by(read_log(home), ConversationEnded)}
    told = {line.conversation_id for line in read_truth(home / "truth.jsonl") if isinstance(line, TrueContact)}
    assert len(ended) > 100
    assert told <= ended
    assert len(told) > 0.9 * len(ended)  # the others are still being written up


class Literal:
    """A model that reads the texts."""

    needs_text = True

    def __init__(self, guess):
        self._guess = guess
        self.texts = []

    def read(self, contact, request, text):
        self.texts.append(text)
        return self._guess.read(contact, request, text)


def test_a_real_model_stays_in_this_process_and_reads_every_text_of_a_customer(small, tmp_path):
    scenario = small()
    world = make_world(scenario)
    literal = Literal(world.bot.versions[0].model)
    home = tmp_path / "home"
    make(scenario, home, world=msgspec.structs.replace(world, bot=Bot((BotVersion("1", literal, 0.7),))))
    turns = [event for event in said_by(read_log(home), TurnReceived) if event.payload.speaker == "customer"]
    assert len(literal.texts) >= len(turns) > 200  # what comes after the period is read, not kept
    with opened(home) as parts:
        kept = [parts.vault.open(event.subject, event.payload.text) for event in turns]
    assert sum(text == read for text, read in zip(kept, literal.texts, strict=False)) > 0.7 * len(kept)


def test_without_a_bot_nothing_is_decided(small, tmp_path):
    make(small(bot={"arms": []}), tmp_path / "home")
    records = read_log(tmp_path / "home")
    assert not said_by(records, DecisionServed)
    assert not said_by(records, HandoffRequested)
    assert said_by(records, TurnReceived)


# -- a run that is stopped ---------------------------------------------------------------------------------


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(holds, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_run_that_is_stopped_leaves_a_whole_beginning_and_no_process(tmp_path, number, code):
    home = tmp_path / "home"
    arguments = ["twin", "generate", "quiet_week", "--days", "30", "--out", str(home), "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "headset", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        log = home / "log" / "events.db-wal"
        wait_until(lambda: log.exists() and log.stat().st_size > 2_000_000)
        started = children(process.pid)
        process.send_signal(number)
        printed, complaint = process.communicate(timeout=30)
    assert process.returncode == code
    assert printed == complaint == ""
    assert started
    wait_until(lambda: not any(map(alive, started)))

    records = read_log(home)
    assert [record.offset for record in records] == list(range(1, len(records) + 1))
    events = [record.event for record in records]
    assert [event.event_time for event in events] == sorted(event.event_time for event in events)
    begun, turns = set(), Counter()
    for event in events:
        if isinstance(event.payload, ConversationStarted):
            assert event.conversation_id not in begun
            begun.add(event.conversation_id)
        assert event.conversation_id in begun
        if isinstance(event.payload, TurnReceived):
            assert event.payload.position == turns[event.conversation_id]
            turns[event.conversation_id] += 1
    ended = {event.conversation_id for event in said_by(records, ConversationEnded)}
    told = {line.conversation_id for line in read_truth(home / "truth.jsonl")[1:] if isinstance(line, TrueContact)}
    early = {event.conversation_id for event in events[:-1_500] if isinstance(event.payload, ConversationEnded)}
    assert early <= told <= ended  # the truth follows, a message behind at most
    assert told


def test_the_command_does_not_write_over_a_truth_that_is_there(tmp_path):
    home, mine = tmp_path / "home", tmp_path / "mine.jsonl"
    mine.write_text("mine")
    arguments = ["twin", "generate", "quiet_week", "--days", "0.2", "--out", str(home), "--truth", str(mine)]
    ran = subprocess.run(
        [sys.executable, "-m", "headset", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode != 0
    assert "is there already" in " ".join(ran.stderr.split())
    assert mine.read_text() == "mine"
    assert not home.exists()


def test_the_command_says_what_it_wrote(tmp_path):
    home = tmp_path / "home"
    arguments = ["twin", "generate", "quiet_week", "--days", "0.2", "--out", str(home), "--json", "--seed", "3"]
    ran = subprocess.run(
        [sys.executable, "-m", "headset", *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    said = json.loads(ran.stdout)
    assert said["events"] == len(read_log(home))
    assert said["contacts"] == sum(isinstance(line, TrueContact) for line in read_truth(home / "truth.jsonl"))
    assert re.fullmatch(r"\S+truth\.jsonl", said["truth"])
    assert os.access(said["truth"], os.R_OK)
