"""What is taken down of a conversation: legal events, in order, that agree with what happened."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from types import SimpleNamespace

import msgspec
import pytest
import simpy

from headset.core.ids import Ids
from headset.events.schema import (
    ConversationEnded,
    ConversationStarted,
    DecisionServed,
    FeedbackRecorded,
    HandoffAccepted,
    HandoffRequested,
    OutcomeRecorded,
    SuggestionShown,
    TurnReceived,
)
from headset.feedback.edit_distance import edit_distance
from headset.twin.catalogue import assign_queues
from headset.twin.centre import DAY_S, Centre
from headset.twin.fault import Faults
from headset.twin.recorded import REVIEWER, Recorded
from headset.twin.script import Script
from headset.twin.simulated_clock import SimulatedClock
from headset.twin.unsealed import PENDING
from headset.twin.world import make_world

START = datetime(2026, 3, 2)  # noqa: DTZ001 - the centre's own clock
STORM = {
    "name": "storm",
    "start": START + timedelta(hours=6),
    "hours": 12.0,
    "intent": "storm_outage",
    "contacts_per_hour": 10.0,
}
UNFAIR = {"name": "accent", "where": {"region": "north"}, "accuracy_loss": 0.3, "error_ratio": 0.2}
LATE = {
    "name": "late",
    "kind": "duplicates",
    "field": "",
    "start": START,
    "end": START + timedelta(days=2),
    "share": 0.5,
}
ARMS = [{"version": "1", "share": 0.6}, {"version": "2", "share": 0.4, "accuracy": 0.7}]


def record(scenario, *, seed=1, days=None, bot=True):
    """What a scenario's conversations leave, as events and their texts, and how they went."""
    days = days or scenario.days
    world = make_world(scenario)
    env = simpy.Environment()
    clock = SimulatedClock(env, scenario.start)
    stage = Recorded(
        env=env,
        clock=clock,
        ids=Ids(clock, Random(seed)),
        script=Script(scenario, world.utterances),
        faults=Faults(scenario),
        queue_of=assign_queues(scenario, world.catalogue),
        bot=world.bot if bot else None,
        model="intent",
        until_s=days * DAY_S,
    )
    courses = {}
    centre = Centre(
        scenario,
        world.catalogue,
        stage,
        seed=seed,
        days=days,
        on_end=lambda contact, course: courses.__setitem__(contact.conversation_id, (contact, course)),
        env=env,
    )
    centre.run()
    told = stage.take()
    conversations = defaultdict(list)
    for each in told:
        conversations[each.event.conversation_id].append(each)
    return SimpleNamespace(
        scenario=scenario,
        catalogue=world.catalogue,
        told=told,
        conversations=conversations,
        courses=courses,
        stage=stage,
        centre=centre,
    )


def of(told, kind):
    return [each for each in told if isinstance(each.event.payload, kind)]


@pytest.fixture(scope="module")
def busy(small):
    """Two arms, an incident nobody trained on, three languages."""
    return record(
        small(
            days=3,
            languages={"en": 0.6, "es": 0.2, "de": 0.2},
            teams=[
                {"name": name, "agents": 4, "queues": [name], "languages": ["en", "es", "de"], "automation_bias": 0.25}
                for name in ("care", "technical")
            ],
            bot={"arms": ARMS, "review_ratio": 0.3},
            incidents=[STORM],
        )
    )


def test_a_conversation_begins_once_and_ends_at_most_once(busy):
    assert len(busy.conversations) > 1_000
    for told in busy.conversations.values():
        assert isinstance(told[0].event.payload, ConversationStarted)
        assert len(of(told, ConversationStarted)) == 1
        assert len(of(told, ConversationEnded)) <= 1
    ended = sum(bool(of(told, ConversationEnded)) for told in busy.conversations.values())
    assert ended > 0.97 * len(busy.conversations)  # the last ones go on after the period


def test_turns_are_numbered_from_nought_and_come_before_the_end(busy):
    for told in busy.conversations.values():
        turns = [each.event.payload for each in of(told, TurnReceived)]
        assert [turn.position for turn in turns] == list(range(len(turns)))
        assert len({turn.turn_id for turn in turns}) == len(turns)
        assert turns[0].speaker == "customer"
        kinds = [type(each.event.payload) for each in told]
        if ConversationEnded in kinds:
            after = kinds[kinds.index(ConversationEnded) + 1 :]
            assert set(after) <= {OutcomeRecorded, FeedbackRecorded}


def test_every_customer_turn_has_a_decision_and_no_other_turn_has(busy):
    for told in busy.conversations.values():
        asked = [each.event.payload for each in of(told, TurnReceived) if each.event.payload.speaker == "customer"]
        decided = [each.event.payload for each in of(told, DecisionServed)]
        assert [(turn.turn_id, turn.position) for turn in asked] == [(one.turn_id, one.position) for one in decided]


def test_a_decision_is_known_by_its_events_id(busy):
    for each in of(busy.told, DecisionServed):
        assert each.event.payload.decision_id == str(each.event.event_id)


def test_a_handoff_is_requested_once_by_a_decision_for_a_person_and_then_accepted_once(busy):
    accepted_at_all = 0
    for told in busy.conversations.values():
        requested, accepted = of(told, HandoffRequested), of(told, HandoffAccepted)
        assert len(requested) <= 1
        assert len(accepted) <= len(requested)
        for each in requested:
            decision = told[told.index(each) - 1].event.payload
            assert decision.decision_id == each.event.payload.decision_id
            assert (decision.route, decision.reason) == ("human", each.event.payload.reason)
            assert each.event.payload.due_time > each.event.event_time
        for each in accepted:
            accepted_at_all += 1
            assert told.index(each) > told.index(requested[0])
    assert accepted_at_all > 300


def test_who_takes_over_reads_what_the_customer_asked_last(busy):
    for told in busy.conversations.values():
        said = []
        for each in told:
            if isinstance(each.event.payload, HandoffRequested):
                # Who asked for a person is known by what they had asked before.
                assert each.text in said[-1:] + said[-2:-1]
            elif isinstance(each.event.payload, TurnReceived) and each.event.payload.speaker == "customer":
                said.append(each.text)


def test_a_person_speaks_only_after_accepting_and_the_bot_only_before(busy):
    for told in busy.conversations.values():
        with_person = False
        for each in told:
            payload = each.event.payload
            with_person |= isinstance(payload, HandoffAccepted)
            if isinstance(payload, TurnReceived):
                assert payload.speaker != ("bot" if with_person else "agent")
                assert (payload.speaker_id is not None) is (payload.speaker == "agent")
            if isinstance(payload, DecisionServed):
                assert (payload.reason == "with_human") is with_person


def test_feedback_and_what_was_shown_are_about_decisions_made_before_in_the_conversation(busy):
    for told in busy.conversations.values():
        decisions = {}
        for each in told:
            payload = each.event.payload
            if isinstance(payload, DecisionServed):
                decisions[payload.decision_id] = payload
            elif isinstance(payload, SuggestionShown):
                assert decisions[payload.decision_id].suggestions
            elif isinstance(payload, FeedbackRecorded):
                intent = decisions[payload.decision_id].intent
                assert (payload.intent == intent) is (payload.action != "overridden")


def test_times_do_not_go_back_and_ids_grow(busy):
    events = [each.event for each in busy.told]
    assert [event.event_time for event in events] == sorted(event.event_time for event in events)
    ids = [event.event_id for event in events]
    assert ids == sorted(set(ids))


def test_nothing_is_later_than_the_end(busy):
    end_us = round((START + timedelta(days=3) - datetime(1970, 1, 1)).total_seconds() * 1e6)  # noqa: DTZ001
    assert end_us - 60e6 < busy.told[-1].event.event_time <= end_us


def test_a_suggestion_is_an_agents_own_answer_from_before_to_that_intent_in_that_language(busy):
    answers = {}
    suggested = 0
    for each in busy.told:
        contact, _ = busy.courses[each.event.conversation_id]
        payload = each.event.payload
        if isinstance(payload, TurnReceived) and payload.speaker == "agent":
            answers[each.event.event_id] = (contact.intent, contact.customer.language, each.text)
        elif isinstance(payload, DecisionServed):
            suggested += len(payload.suggestions)
            assert len(payload.suggestions) <= 3
            found = [answers[reply_id] for reply_id in payload.suggestions]
            assert {place[:2] for place in found} <= {(payload.intent, contact.customer.language)}
            assert len({text for _, _, text in found}) == len(found)
    assert suggested > 1_000


def test_an_accepted_suggestion_is_sent_as_it_is_and_an_edited_one_with_more(busy):
    texts = {each.event.event_id: each.text for each in of(busy.told, TurnReceived)}
    counted = dict.fromkeys(("accepted", "edited", "overridden", "rejected"), 0)
    for told in busy.conversations.values():
        decisions = {each.event.payload.decision_id: each.event.payload for each in of(told, DecisionServed)}
        for number, each in enumerate(told):
            payload = each.event.payload
            if not isinstance(payload, FeedbackRecorded) or payload.agent_id == REVIEWER:
                continue
            counted[payload.action] += 1
            sent = told[number + 1]
            assert (sent.text, sent.event.payload.speaker_id) == (each.text, payload.agent_id)
            suggested = [texts[reply_id] for reply_id in decisions[payload.decision_id].suggestions]
            if payload.action == "accepted" and suggested:
                assert each.text == suggested[0]
            assert (payload.edit_distance is not None) is (payload.action == "edited")
            if payload.action == "edited":
                assert each.text.startswith(suggested[0])
                assert payload.edit_distance == pytest.approx(edit_distance(suggested[0], each.text), abs=1e-4)
    assert min(counted.values()) > 10


def test_a_used_suggestion_is_not_suggested_in_its_turn_so_replies_do_not_grow(busy):
    used, suggested = set(), set()
    for told in busy.conversations.values():
        decisions = {each.event.payload.decision_id: each.event.payload for each in of(told, DecisionServed)}
        for each, sent in pairwise(told):
            payload = each.event.payload
            if isinstance(payload, FeedbackRecorded) and payload.action in {"accepted", "edited"}:
                if decisions[payload.decision_id].suggestions and payload.agent_id != REVIEWER:
                    used.add(sent.event.event_id)
            elif isinstance(payload, DecisionServed):
                suggested |= set(payload.suggestions)
    assert len(used) > 100
    assert not used & suggested


def test_the_model_never_says_an_intent_that_nobody_taught_it(busy):
    said = {each.event.payload.intent for each in of(busy.told, DecisionServed)}
    said |= {each.event.payload.alternatives[0].intent for each in of(busy.told, DecisionServed)}
    assert "storm_outage" not in said
    assert sum(contact.intent == "storm_outage" for contact, _ in busy.courses.values()) > 30


def test_the_first_decision_is_what_the_truth_says_the_bot_said(busy):
    for name, told in busy.conversations.items():
        contact, course = busy.courses[name]
        first = of(told, DecisionServed)[0].event.payload
        assert (first.intent, first.model_version) == (course.said, course.arm)
        assert first.arm == ("champion" if course.arm == "1" else "candidate")
        assert first.model_version == ("1" if contact.customer.arm == 0 else "2")


def test_who_the_bot_kept_was_never_handed_off(busy):
    for name, told in busy.conversations.items():
        if of(told, ConversationEnded):
            assert busy.courses[name][1].bot_ended is not bool(of(told, HandoffRequested))


def test_every_text_has_its_place_and_no_text_is_in_the_event(busy):
    for each in busy.told:
        names = {"text", "summary", "reply"} & set(each.event.payload.__struct_fields__)
        held = {name for name in names if getattr(each.event.payload, name) is not None}
        assert held == (set() if each.text is None else {each.field})
        assert all(getattr(each.event.payload, name) == PENDING for name in held)
        assert each.text is None or each.text.strip()


def test_the_subject_is_the_customer_whose_attributes_the_beginning_tells(busy):
    for name, told in busy.conversations.items():
        contact, _ = busy.courses[name]
        assert {each.event.subject for each in told} == {f"customer:{contact.customer.customer_id}"}
        begun = told[0].event.payload
        assert (begun.channel, begun.language, begun.attributes) == (
            contact.channel,
            contact.customer.language,
            contact.customer.segments,
        )


def test_outcomes_come_with_the_end_or_later_and_say_what_happened(busy):
    for name, told in busy.conversations.items():
        _, course = busy.courses[name]
        ended = [told.index(each) for each in of(told, ConversationEnded)]
        for each in of(told, OutcomeRecorded):
            assert told.index(each) > ended[0]
            outcome = each.event.payload
            assert outcome.csat in {None, course.satisfaction}
            assert outcome.handle_time_s is None or outcome.handle_time_s == pytest.approx(course.handled_s, abs=0.06)
            assert outcome.resolution in {None, "abandoned"} or (outcome.resolution == "resolved") is course.solved
            assert outcome.reopened is None or course.return_s is not None


@pytest.mark.parametrize(
    "change",
    [
        {"intents": {}},
        {"bot": {"arms": []}},
        {"bot": {"arms": ARMS, "review_ratio": 0.3}, "incidents": [STORM], "unfairness": [UNFAIR], "faults": [LATE]},
    ],
    ids=["all intents", "no bot", "eventful"],
)
def test_a_silent_run_is_the_recorded_one_without_words(small, simulate, change):
    """Who is suggested what, is misled by it and comes back is the same; so forecasts are about what is recorded."""
    teams = [
        {"name": name, "agents": 2, "queues": [name], "automation_bias": 0.5, "feedback_ratio": 1.0}
        for name in ("care", "technical")
    ]
    scenario = small(teams=teams, **change)
    written, silent = record(scenario, seed=3), simulate(scenario, seed=3)
    assert silent.centre.figures() == written.centre.figures()
    courses = {contact.conversation_id: course for contact, course in silent.courses}
    assert courses == {name: course for name, (_, course) in written.courses.items()}
    if scenario.bot.arms:
        assert sum(course.misled for course in courses.values()) > 5


def test_a_conversation_begins_in_the_line_its_customer_chose(busy):
    for name, told in busy.conversations.items():
        assert told[0].event.payload.queue == busy.courses[name][0].queue
    assert {told[0].event.payload.queue for told in busy.conversations.values()} == {"care", "technical"}


def test_a_handoff_goes_to_the_queue_of_what_the_bot_read(busy):
    queue_of = assign_queues(busy.scenario, busy.catalogue)
    for told in busy.conversations.values():
        for each in of(told, HandoffRequested):
            decision = told[told.index(each) - 1].event.payload
            assert each.event.payload.queue == queue_of[decision.intent]


def test_without_a_bot_there_are_turns_and_outcomes_and_no_decision(small):
    told = record(small(bot={"arms": []}), days=1).told
    kinds = {type(each.event.payload) for each in told}
    assert kinds == {ConversationStarted, TurnReceived, ConversationEnded, OutcomeRecorded}
    assert {each.event.payload.sentiment for each in of(told, TurnReceived)} == {None}


def test_equal_seeds_leave_equal_events(small):
    one, other = (record(small(), days=0.5).told for _ in range(2))
    assert msgspec.json.encode(one) == msgspec.json.encode(other)


def test_a_fault_changes_no_event_but_those_it_is_about(small):
    fault = {
        "name": "region lost",
        "kind": "missing_field",
        "field": "region",
        "start": START,
        "end": START + timedelta(days=1),
        "share": 0.5,
    }
    sound, faulty = (record(small(faults=faults)).told for faults in ([], [fault]))
    differing = [(one.event, other.event) for one, other in zip(sound, faulty, strict=True) if one != other]
    begun = [each for each in differing if isinstance(each[0].payload, ConversationStarted)]
    assert all(one.payload.attributes and not other.payload.attributes for one, other in begun)
    assert 100 < len(begun) < 300
    assert all(one.payload.segment.startswith("region=") and other.payload.segment is None for one, other in differing)
    told = [
        (msgspec.structs.replace(one.payload, segment=None), msgspec.structs.replace(other.payload, segment=None))
        for one, other in differing
        if not isinstance(one.payload, ConversationStarted)
    ]
    assert len(told) > 1_000
    assert all(one == other for one, other in told)


def test_what_is_held_of_conversations_does_not_grow_with_the_days(small):
    scenario = small(contacts_per_day=100)
    sizes = []
    for days in (5, 15):
        stage = record(scenario, days=days).stage
        sizes.append((len(stage._open), sum(map(len, stage._replies.values()))))
    assert {opened for opened, _ in sizes} == {0}
    assert all(replies <= 3 * 2 * 33 for _, replies in sizes)
