"""The same centre before a live server: legal in all it says, in time, and honest about what went wrong."""

from __future__ import annotations

import itertools
import json
import random
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest
from litestar.testing import TestClient
from msgspec.structs import replace

from headset import app as composition
from headset import cli, supervisor
from headset.app.training import train_intent
from headset.cli import terminal
from headset.core.config import load_config
from headset.core.errors import AccessDenied, InvalidInput, StorageFailed
from headset.data.importer import import_items
from headset.data.row import Row
from headset.process import open_service
from headset.serving.api import create_api
from headset.serving.metrics import Metrics
from headset.training.recipe import IntentRequest
from headset.twin import live as live_part
from headset.twin.customer import Customer
from headset.twin.desk import Desk
from headset.twin.example import write_examples
from headset.twin.fault import Faults
from headset.twin.live import Live, LiveRun, run_live
from headset.twin.scenario import Fault, read_scenario
from headset.twin.script import Script
from headset.twin.stage import Contact, Decision, Outcome
from headset.twin.truth import Beginning, TrueContact, TrueKpis, TruthFile, read_truth
from headset.twin.world import make_world

SCENARIO = read_scenario("quiet_week")
WORLD = make_world(SCENARIO)
ACTIONS = ("accepted", "edited", "overridden", "rejected", "ignored")


class Time:
    """A clock that moves when somebody waits; it is time to stop after ``stop_s`` seconds."""

    def __init__(self, stop_s=float("inf")):
        self.now_s, self.stop_s, self.waits = 100.0, 100.0 + stop_s, []

    def monotonic(self):
        return self.now_s

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now_s += seconds
        return self.now_s >= self.stop_s


class Server:
    """Keeps to the rules of serving/feedback.py and serving/decision.py; remembers what was posted."""

    def __init__(self, decide=lambda number: ("roaming", "human", ["One."])):
        self.decide, self.posted, self.held, self.decisions, self.refused = decide, [], {}, {}, []
        self.down = False

    def __call__(self, request):
        path, body = request.url.path, json.loads(request.content)
        self.posted.append((path, body))
        if self.down:
            raise httpx.ConnectError("nobody listens", request=request)
        _, _, kind, name, *rest = path.split("/")
        answer = self.turn(name, body) if rest == ["turns"] else getattr(self, f"{kind}_{rest[-1]}")(name, body)
        if isinstance(answer, str):
            self.refused.append((path, body, answer))
            return httpx.Response(409, json={"detail": answer})
        return httpx.Response(201, json=answer)

    def turn(self, name, body):
        held = self.held.setdefault(name, {"turns": set(), "handed_off": False, "agent": None, "ended": False})
        if held["ended"] or body["turn_id"] in held["turns"] or not body["text"]:
            return "turn"
        if ("channel" in body) == bool(held["turns"]):
            return "only the first turn describes the conversation"
        held["turns"].add(body["turn_id"])
        if body.get("speaker", "customer") != "customer":
            return {}
        intent, route, suggestions = self.decide(len(self.decisions))
        held["handed_off"] |= route == "human"
        decision_id = f"d{len(self.decisions)}"
        self.decisions[decision_id] = (name, intent, suggestions)
        return {"decision_id": decision_id, "intent": intent, "route": route, "suggestions": suggestions, "arm": "x"}

    def conversations_accept(self, name, body):
        held = self.held[name]
        if not held["handed_off"] or held["agent"]:
            return "accept"
        held["agent"] = body["agent_id"]
        return {}

    def conversations_end(self, name, _):
        self.held[name]["ended"] = True
        return {}

    def conversations_outcome(self, name, body):
        return {} if name in self.held and body and body.get("handle_time_s", 0) <= 86_400 * 30 else "outcome"

    def decisions_shown(self, name, _):
        return {} if self.decisions[name][2] else "shown"

    def decisions_feedback(self, name, body):
        conversation, intent, suggestions = self.decisions[name]
        action, said = body["action"], body.get("intent")
        wrong = {
            "accepted": intent is None or said not in {None, intent},
            "edited": not suggestions or "reply" not in body or said not in {None, intent},
            "overridden": said in {None, intent},
        }
        owned = self.held[conversation]["agent"] in {None, body["agent_id"]}
        return {} if owned and not wrong.get(action, False) else "feedback"

    def bodies(self, kind):
        return [body for path, body in self.posted if path.endswith(kind)]


def client_of(answer):
    return httpx.Client(base_url="http://twin", transport=httpx.MockTransport(answer))


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def live(server):
    return live_of(client_of(server))


def live_of(client, scenario=SCENARIO):
    return Live(Desk(client, lambda _: True), Script(scenario, WORLD.utterances), Faults(scenario), lambda: 0.0)


def contact_of(name="c-1", intent="roaming"):
    return Contact(name, Customer("twin-1", "en", {"region": "north"}, 0), intent, "chat", 0.0, "7")


def run(server, time, speed=60.0, **options):
    with client_of(server) as client:
        return run_live(WORLD, client=client, clock=time, wait=time.wait, seed=5, speed=speed, run="r", **options)


def test_the_first_turn_describes_the_conversation_and_later_ones_do_not(live, server):
    contact = contact_of()
    decision = live.ask(contact, "ask")
    live.ask(contact, "person")
    (first_path, first), (path, second) = server.posted
    text = first.pop("text")
    assert text
    assert first_path == path == "/v1/conversations/c-1/turns"
    assert first == {
        "turn_id": "1",
        "channel": "chat",
        "queue": "front",
        "language": "en",
        "customer_id": "twin-1",
        "attributes": {"region": "north"},
    }
    assert set(second) == {"text", "turn_id"}
    assert decision == Decision("d0", "roaming", "human", suggested=True, suggestions=("One.",))


@pytest.mark.parametrize(
    ("intent", "suggestions", "replies_of"),
    [
        ("roaming", ["Mine."], None),
        ("late_fee", [], "late_fee"),
        ("never_heard_of", [], "roaming"),
        (None, [], "roaming"),
    ],
)
def test_the_bot_says_what_the_server_suggests_or_has_words_for(live, server, intent, suggestions, replies_of):
    server.decide = lambda _: (intent, "bot", suggestions)
    contact = contact_of()
    live.ask(contact, "ask")
    live.answer(contact, "reply")
    _, body = server.posted[-1]
    assert body["speaker"] == "bot"
    assert "speaker_id" not in body
    drawn = {WORLD.utterances.reply(replies_of, "en", "", random.Random(k)) for k in range(99)} if replies_of else ()
    assert body["text"] in (drawn or suggestions)


def test_an_agent_takes_only_what_was_handed_off_and_at_once_when_it_is_late(live, server):
    server.decide = lambda number: ("roaming", "human" if number else "bot", [])
    contact = contact_of()
    live.ask(contact, "ask")
    live.accept(contact, "ana")
    assert server.bodies("accept") == []
    live.ask(contact, "thanks")
    live.ask(contact, "thanks")
    assert server.bodies("accept") == [{"agent_id": "ana"}]
    assert live.handed_off == 1


CASES = list(itertools.product(ACTIONS, (None, "roaming", "late_fee"), (None, "roaming"), ([], ["One."])))


@pytest.mark.parametrize(("action", "verdict", "said", "suggestions"), CASES)
def test_every_verdict_is_told_so_that_the_api_takes_it(live, server, action, verdict, said, suggestions):
    server.decide = lambda _: (said, "human", suggestions)
    contact = contact_of()
    decision = live.ask(contact, "ask")
    live.accept(contact, "ana")
    live.judge(contact, decision, action, "ana", verdict)
    assert server.refused == []
    (told,) = server.bodies("feedback")
    assert told.get("intent") == verdict
    assert server.bodies("shown") == [{"agent_id": "ana"}] * len(suggestions)
    spoken = server.bodies("turns")[-1]
    assert (spoken["text"], spoken["speaker"], spoken["speaker_id"]) == (told["reply"], "agent", "ana")
    if suggestions and told["action"] in {"accepted", "edited"}:
        assert told["reply"].startswith("One.")
        assert (told["reply"] == "One.") == (told["action"] == "accepted")


def test_a_fitting_verdict_is_told_as_it_is(live, server):
    decision = live.ask(contact_of(), "ask")
    for action in ("accepted", "edited", "rejected"):
        live.judge(contact_of(), decision, action, "ana", "roaming")
    live.judge(contact_of(), decision, "overridden", "ana", "late_fee")
    assert [body["action"] for body in server.bodies("feedback")] == ["accepted", "edited", "rejected", "overridden"]


def test_what_is_edited_over_and_over_does_not_grow_for_ever(live, server):
    replies = ["One."]
    server.decide = lambda _: ("roaming", "human", replies[-1:])
    for number in range(60):
        contact = contact_of(f"c-{number}")
        live.judge(contact, live.ask(contact, "ask"), "edited", "ana", "roaming")
        replies.append(server.bodies("feedback")[-1]["reply"])
        assert replies[-1] != replies[-2]
    assert max(map(len, replies)) < 400


def test_a_reviewer_says_which_intent_was_right(live, server):
    decision = live.ask(contact_of(), "ask")
    live.review(contact_of(), decision, "accepted", "roaming")
    live.review(contact_of(), decision, "overridden", "late_fee")
    assert server.bodies("feedback") == [
        {"action": "accepted", "agent_id": "quality", "intent": "roaming"},
        {"action": "overridden", "agent_id": "quality", "intent": "late_fee"},
    ]


def test_a_conversation_that_is_over_is_forgotten_and_its_outcome_still_told(live, server):
    contact = contact_of()
    live.ask(contact, "ask")
    assert len(live._open) == 1
    live.end(contact, "agent")
    live.report(contact, Outcome(resolution="resolved", handle_time_s=90.5))
    live.report(contact, Outcome(csat=4))
    assert not live._open
    assert server.bodies("end") == [{"ended_by": "agent"}]
    assert server.bodies("outcome") == [{"resolution": "resolved", "handle_time_s": 90.5}, {"csat": 4}]


def test_planted_faults_reach_the_server(server):
    span = {"start": SCENARIO.start, "end": SCENARIO.start.replace(year=2030)}
    faults = (
        Fault(name="a", kind="missing_field", field="region", **span),
        Fault(name="b", kind="wrong_unit", field="handle_time_s", **span),
        Fault(name="c", kind="duplicates", **span),
    )
    live = live_of(client_of(server), replace(SCENARIO, faults=faults))
    contact = contact_of()
    live.ask(contact, "ask")
    live.report(contact, Outcome(handle_time_s=90.5))
    live.report(contact, Outcome(handle_time_s=1e6))
    assert server.bodies("turns")[0]["attributes"] == {}
    assert [body["handle_time_s"] for body in server.bodies("outcome")] == [90_500, 90_500, 2_592_000, 2_592_000]
    assert server.refused == []


def test_a_conversation_the_server_fails_is_forgotten(live, server):
    contact = contact_of()
    live.ask(contact, "ask")
    server.down = True
    with pytest.raises(StorageFailed, match="nobody listens"):
        live.answer(contact, "reply")
    assert (live._open, live.failures, live.refusal) == ({}, 1, None)


def test_simulated_time_passes_at_its_speed(server):
    time, starts = Time(stop_s=60), {}
    begun = {}

    def answer(request):
        begun.setdefault(request.url.path.split("/")[3], time.now_s - 100)
        return server(request)

    seen = run(answer, time, on_end=lambda contact, _: starts.update({contact.conversation_id: contact.start_s}))
    assert seen.begun >= 40
    assert seen.behind_s < 1e-6
    assert 3_400 < seen.simulated_s <= 3_600
    assert time.now_s == pytest.approx(160)
    assert starts
    assert {name: begun[name] * 60 for name in starts} == pytest.approx(starts)


def test_life_shows_within_the_first_seconds(server):
    assert run(server, Time(stop_s=10)).begun >= 3


def test_a_server_that_cannot_keep_up_makes_the_run_late_but_nothing_is_skipped(server):
    time, slow = Time(), Server()

    def answer(request):
        time.now_s += 0.5
        return slow(request)

    late, punctual = run(answer, time, days=0.05), run(server, Time(), days=0.05)
    assert late.behind_s > 600
    assert punctual.behind_s < 1e-6
    assert late.begun == punctual.begun
    assert slow.posted == server.posted


def test_a_run_of_some_days_brings_to_an_end_what_it_began(server):
    chance = random.Random(3)
    texts = ([], ["One."], ["One.", "Two."])
    intents = (*WORLD.catalogue.usual, None)
    server.decide = lambda _: (chance.choice(intents), chance.choice(("bot", "human")), chance.choice(texts))
    met = {}
    seen = run(server, Time(), days=0.2, speed=1e6, on_end=lambda contact, course: met.update({contact: course}))
    assert server.refused == []
    assert seen.begun == seen.ended == len(server.held) > 200
    assert (seen.lost, seen.problem) == (0, None)
    told = {path.split("/")[3] for path, body in server.posted if "resolution" in body}
    assert told >= {contact.conversation_id for contact, course in met.items() if not course.bot_ended}
    assert len(met) == seen.begun
    assert all(held["ended"] for held in server.held.values())
    assert 0 < seen.right < seen.decided < seen.begun
    assert seen.handed_off == sum(held["handed_off"] for held in server.held.values())
    assert seen.figures["accuracy"] == pytest.approx(seen.right / seen.begun)
    assert 0 < seen.figures["occupancy"] < 1


def test_a_run_without_an_end_goes_past_the_scenario(server):
    quiet = replace(WORLD, scenario=replace(SCENARIO, contacts_per_day=2.0))
    with client_of(server) as client:
        time = Time(stop_s=20)
        seen = run_live(quiet, client=client, clock=time, wait=time.wait, seed=5, speed=86_400, run="r")
    assert seen.simulated_s > 19 * 86_400
    assert seen.begun > 20


def test_a_run_stops_in_the_middle_and_says_what_happened(server):
    time, told = Time(stop_s=30), []
    seen = run(server, time, watch=told.append)
    assert seen.begun > seen.ended > 0
    assert time.now_s <= 131
    assert len(told) == pytest.approx(28, abs=3)
    assert told[-1].begun <= seen.begun
    assert max(time.waits) <= 1
    assert seen.figures["csat"] is not None


@pytest.mark.parametrize(("code", "error"), [(401, AccessDenied), (403, AccessDenied), (404, InvalidInput)])
def test_a_run_that_cannot_begin_ends_at_the_first_request(code, error):
    asked = []
    with pytest.raises(error, match="no such thing"):
        run(lambda request: asked.append(request) or httpx.Response(code, text="no such thing"), Time())
    assert len(asked) == 1


def test_a_server_of_another_kind_ends_the_run():
    with pytest.raises(InvalidInput, match="cannot be read"):
        run(lambda _: httpx.Response(200, json={"hello": "world"}), Time())


def test_a_key_that_is_revoked_ends_the_run(server):
    left = iter(range(50))
    with pytest.raises(AccessDenied):
        run(lambda request: httpx.Response(401) if next(left, None) is None else server(request), Time())


def test_a_refusal_later_costs_one_conversation(server):
    left = iter(range(50))
    seen = run(lambda r: httpx.Response(422, text="odd") if next(left, 0) == 49 else server(r), Time(stop_s=60))
    assert seen.lost == 1
    assert "odd" in seen.problem
    assert seen.begun > 40


def test_a_server_that_restarts_costs_the_conversations_of_that_time(server):
    time = Time(stop_s=90)

    def answer(request):
        server.down = 30 < time.now_s - 100 < 60
        return server(request)

    seen = run(answer, time)
    assert 0 < seen.lost < 12, "each failure is followed by a pause"
    assert "nobody listens" in seen.problem
    assert seen.begun > 80
    assert 1_000 < seen.behind_s < 2_400


def test_answers_that_are_lost_cost_conversations_and_record_nothing_twice(server):
    chance = random.Random(2)

    def answer(request):
        taken = server(request)
        if chance.random() < 0.05:
            raise httpx.ReadTimeout("timed out", request=request)
        return taken

    seen = run(answer, Time(), days=0.1, speed=1e6)
    assert seen.lost > 10
    assert "timed out" in seen.problem
    assert seen.begun > 100
    assert server.refused == []
    told = [(path, str(body)) for path, body in server.posted]
    assert len(told) == len(set(told))


def test_a_turn_that_was_half_taken_costs_its_conversation_even_if_it_is_the_first(server):
    first = iter(range(2))

    def answer(request):
        if next(first, None) != 0:
            return server(request)
        server(request)
        return httpx.Response(503, text="kept, but not decided")

    seen = run(answer, Time(stop_s=30))
    assert seen.lost == 1
    assert "409" in seen.problem
    assert seen.begun > 10


@pytest.mark.parametrize("options", [{"days": 0.1}, {"days": None}])
def test_the_truth_of_a_run_is_about_what_the_server_heard(server, tmp_path, options):
    with TruthFile(tmp_path / "truth.jsonl") as truth:
        seen = run(server, Time(stop_s=200), truth=truth, **options)
    first, *planted, kpis = read_truth(tmp_path / "truth.jsonl")
    contacts = [line for line in planted if isinstance(line, TrueContact)]
    assert first == Beginning("quiet week", 5, SCENARIO.start, options["days"])
    assert kpis == TrueKpis(None, len(contacts), seen.figures)
    assert len(contacts) > 50
    turns = {path.split("/")[3]: body for path, body in reversed(server.posted) if path.endswith("/turns")}
    for line in contacts:
        begun = turns[line.conversation_id]
        assert (begun["customer_id"], begun["channel"]) == (line.customer_id, line.channel)
        assert line.arm is None


def test_a_run_whose_truth_cannot_be_written_ends(server):
    class Full:
        def write(self, *_):
            if len(server.held) >= 20:
                raise StorageFailed("the disk is full")

    with pytest.raises(StorageFailed, match="disk is full"):
        run(server, Time(), truth=Full())
    assert len(server.held) < 30


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Run ``headset`` in this process without HEADSET_KEY; gives the exit code and what was printed."""
    monkeypatch.setenv("HEADSET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HEADSET_KEY", raising=False)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["headset", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def runs(monkeypatch):
    """What the command line asks of ``run_live``, which here is over at once."""
    asked = []
    told = LiveRun(
        simulated_s=90_061.0, begun=7, ended=5, lost=1, decided=6, right=4, handed_off=2, behind_s=41.6, problem="odd",
        figures={"csat": 4.0},
    )  # fmt: skip

    def answer(world, *, watch, **options):
        asked.append(options)
        watch(told)
        return told

    monkeypatch.setattr(live_part, "run_live", answer)
    return asked


def shown_key(options):
    return options["client"].headers["authorization"].removeprefix("Bearer ")


def test_the_development_key_is_shown_to_the_home_folders_own_server_only(command, runs, monkeypatch, tmp_path):
    assert command("twin", "run", "quiet_week")[0] == 0
    development = (tmp_path / "home" / "keys" / "development.key").read_text().strip()
    assert shown_key(runs.pop()) == development
    for elsewhere in (("--url", "http://127.0.0.1:8080"), ("--url", ""), ("--host", "192.0.2.1")):
        code, _, told = command("twin", "run", "quiet_week", *elsewhere)
        assert code == 2
        assert "HEADSET_KEY" in told
        assert "headset keys create" in told
    assert runs == []
    monkeypatch.setenv("HEADSET_KEY", "other")
    for own in ((), ("--url", "http://192.0.2.1")):
        assert command("twin", "run", "quiet_week", *own)[0] == 0
        assert shown_key(runs.pop()) == "other"


@pytest.mark.parametrize(
    ("url", "key", "named"),
    [("http://host:notaport", "k", "url"), ("ftp://host", "k", "url"), ("http://host", "clé", "key")],
)
def test_a_wrong_address_or_key_is_misuse(command, monkeypatch, tmp_path, url, key, named):
    monkeypatch.setenv("HEADSET_KEY", key)
    truth = tmp_path / "truth.jsonl"
    code, printed, told = command("twin", "run", "quiet_week", "--url", url, "--truth", str(truth))
    assert (code, printed) == (2, "")
    assert told.startswith(f"headset: {named}: ")
    assert not truth.exists()


def test_the_help_names_the_variable_of_the_key(command):
    assert "HEADSET_KEY" in command("twin", "run", "--help")[1]


def test_a_report_says_how_far_behind_the_run_was(command, runs):
    code, printed, told = command("twin", "run", "quiet_week")
    assert (code, told) == (0, "")
    assert "at worst 42 simulated seconds behind" in " ".join(printed.split())
    assert json.loads(command("twin", "run", "quiet_week", "--json")[1])["behind_s"] == 41.6
    assert len(runs) == 2


def test_a_terminal_shows_how_a_run_goes_unless_json_is_wanted(command, runs, monkeypatch):
    shown = []

    @contextmanager
    def status(_first):
        yield SimpleNamespace(update=shown.append)

    monkeypatch.setattr(terminal.err, "status", status)
    command("twin", "run", "quiet_week")
    monkeypatch.setattr(terminal.err, "_force_terminal", True)
    command("twin", "run", "quiet_week", "--json")
    assert shown == []
    command("twin", "run", "quiet_week")
    assert shown == ["1 day, 1:01:01 simulated · 7 conversations · 1 lost · at worst 42 s behind"]
    assert len(runs) == 3


def test_a_run_from_the_command_line_opens_the_file_for_the_truth(command, runs, tmp_path):
    truth = tmp_path / "truth.jsonl"
    assert command("twin", "run", "quiet_week", "--truth", str(truth))[0] == 0
    assert truth.exists()
    code, _, told = command("twin", "run", "quiet_week", "--truth", str(truth))
    assert code == 1
    assert "is there already" in " ".join(told.split())
    assert len(runs) == 1


def test_a_key_in_the_environment_is_not_handed_on_by_up(command, monkeypatch):
    given = []

    class Ended:
        def __init__(self, _config, environ):
            given.append(environ)

        def start(self, *_arguments, **_options):
            pass

        def ended(self):
            return "'headset serve' ended"

        def stop(self):
            pass

    monkeypatch.setattr(supervisor, "Processes", Ended)
    monkeypatch.setattr(supervisor, "check_port", lambda _: None)
    monkeypatch.setenv("HEADSET_KEY", "another server's")
    monkeypatch.setenv("HEADSET_DECISION_MODEL", "intent")
    assert command("up")[0] == 1
    (environ,) = given
    assert "HEADSET_KEY" not in environ
    assert environ["TTY_COMPATIBLE"] == "0", "only one process draws a status line"
    assert environ["HEADSET_DECISION_MODEL"] == "intent"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The configuration of a home folder with a champion."""
    config = load_config(tmp_path_factory.mktemp("live") / "home", {})
    examples = write_examples(WORLD, 1_500, random.Random(3), language="en", channel="chat")
    rows = (Row(number, each.text, each.label) for number, each in enumerate(examples, start=1))
    with composition.open_installation(config) as parts:
        import_items(rows, "texts", log=parts.log, door=parts.door, clock=parts.clock)
        request = IntentRequest(dataset="texts", seed=3, target_precision=0.9)
        train_intent(parts, request, progress=lambda _phase, _fraction: None)
    return config


@pytest.fixture
def serve(trained):
    """The real service in this process: a client of it and its parts."""

    @contextmanager
    def opened():
        parts, metrics = composition.Installation(trained), Metrics()

        async def start():
            return await open_service(parts, metrics)

        with TestClient(create_api(start, metrics, body_limit=100_000)) as client:
            client.headers["Authorization"] = f"Bearer {parts.development_key()}"
            yield client, parts

    return opened


@pytest.mark.slow
def test_a_real_server_records_what_happened(serve):
    honest = tuple(replace(team, automation_bias=0.0, label_error=0.0, feedback_ratio=1.0) for team in SCENARIO.teams)
    world = replace(WORLD, scenario=replace(SCENARIO, teams=honest))
    met, refused = {}, []
    for name in ("a", "b"):  # agents' replies in the first run are what the restarted server suggests in the second
        with serve() as (client, parts):
            client.event_hooks["response"].append(lambda answer: answer.is_success or refused.append(answer.text))
            time = Time()
            seen = run_live(
                world,
                client=client,
                clock=time,
                wait=time.wait,
                seed=5,
                speed=60,
                run=name,
                days=1 / 24,
                on_end=lambda contact, course: met.update({contact.conversation_id: (contact, course)}),
            )
            assert (seen.lost, seen.problem, seen.begun) == (0, None, seen.ended)
            parts.record.catch_up()
            with parts.decisions.open() as connection:
                rows = [
                    SimpleNamespace(**row)
                    for row in connection.sql("SELECT * FROM decisions").to_arrow_table().to_pylist()
                ]
    assert refused == []
    assert {row.conversation_id for row in rows} == set(met)
    assert len(met) > 150
    labelled = [row for row in rows if row.label is not None]
    assert len(labelled) > 20
    assert all(row.label == met[row.conversation_id][0].intent for row in labelled)
    assert {"accepted", "edited", "overridden"} <= {row.action for row in rows}
    assert all(row.edit_distance is not None for row in rows if row.action == "edited")
    assert all(row.suggestions and row.shown for row in rows if row.action == "edited")
    assert {"bot", "human"} == {row.route for row in rows}
    outcomes = {row.conversation_id: row for row in rows if row.resolution is not None}
    assert set(outcomes) >= {name for name, (_, course) in met.items() if not course.bot_ended}
    for name, row in outcomes.items():
        contact, course = met[name]
        assert row.channel == contact.channel
        assert (row.resolution == "resolved") == course.solved
        left = row.resolution == "abandoned" or (course.transfers and not course.solved)
        assert course.bot_ended or row.ended_by == "agent" or (left and row.ended_by == "customer")
        if course.answered:
            assert row.handle_time_s == pytest.approx(course.handled_s, abs=0.1)
    assert any(row.csat is not None for row in rows)
    assert any(row.handoff for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("said", ["roaming", "never_heard_of", None])
def test_every_verdict_is_one_that_the_real_api_takes(serve, said):
    with serve() as (client, _):
        live = live_of(client)
        for number, action in enumerate(ACTIONS):
            contact = contact_of(f"v-{said}-{number}")
            decision = live.ask(contact, "ask")
            live.ask(contact, "person")
            live.accept(contact, "ana")
            live.judge(contact, decision, action, "ana", decision.intent if said == "roaming" else said)
            live.end(contact, "agent")
            live.report(contact, Outcome(resolution="resolved", handle_time_s=40.0, csat=5, reopened=False))
        assert live.failures == 0
