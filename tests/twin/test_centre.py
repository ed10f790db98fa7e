"""What happens to a contact, from its first word until everything about it is known."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from random import Random
from statistics import fmean

import pytest

from headset.core.errors import StorageFailed
from headset.twin.behaviour import Prediction
from headset.twin.bot import Bot, BotVersion, made_up_bot
from headset.twin.catalogue import assign_queues
from headset.twin.centre import DAY_S, DRAIN_S, Centre
from headset.twin.silent import Silent

HOUR_S = 3_600
NOBODY_RETURNS = {"return_ratio": 0.0, "relapse_ratio": 0.0}
DAYTIME = [0.0] * 8 + [1.0] * 4 + [0.0] * 12


class Stubborn:
    """Always says the same, or each of several things in turn, for every question of a contact."""

    needs_text = False

    def __init__(self, *intents, confidence=0.1):
        self._intents = intents
        self._confidence = confidence
        self._asked = Counter()

    def read(self, contact, request, text):
        asked = self._asked[contact.conversation_id]
        self._asked[contact.conversation_id] += 1
        return Prediction(self._intents[asked % len(self._intents)], self._confidence, self._intents[0])


def stubborn(*intents, confidence=0.1, threshold=0.7):
    return Bot((BotVersion("1", Stubborn(*intents, confidence=confidence), threshold),))


def described(run):
    """All courses, as values."""
    return [(contact.conversation_id, contact.start_s, repr(course)) for contact, course in run.courses]


@pytest.fixture(scope="module")
def ordinary(small, simulate):
    return simulate(small())


def test_every_contact_ends_once_and_is_counted_once(ordinary):
    ids = [contact.conversation_id for contact, _ in ordinary.courses]
    ended = [each.contact.conversation_id for each in ordinary.stage.all("end")]
    asked = {each.contact.conversation_id for each in ordinary.stage.all("ask")}
    assert len(ids) == len(set(ids)) == ordinary.tally.contacts > 500
    assert sorted(ended) == sorted(ids)
    assert asked == set(ids)


def test_nothing_is_said_after_the_end(ordinary):
    ended = {}
    for each in ordinary.stage.seen:
        if each.what == "end":
            ended[each.contact.conversation_id] = True
        elif each.what in {"ask", "answer", "accept", "judge"}:
            assert each.contact.conversation_id not in ended


def test_a_contact_is_ended_by_the_bot_or_answered_or_abandoned(ordinary):
    for _, course in ordinary.courses:
        assert course.bot_ended + course.answered + course.abandoned == 1
    tally = ordinary.tally
    assert tally.contacts == tally.contained + tally.answered + tally.abandoned
    assert tally.live == tally.live_answered + tally.abandoned
    assert tally.live_answered < tally.answered  # e-mails are answered, too
    assert min(tally.contained, tally.answered, tally.abandoned) > 0


def test_agents_are_busy_for_as_long_as_contacts_are_handled(small, simulate):
    run = simulate(small(days=1, calendar={"hours": DAYTIME}, customers=NOBODY_RETURNS))
    handled_s = sum(course.handled_s for _, course in run.courses)
    assert run.tally.busy_s == pytest.approx(handled_s)
    assert run.tally.staffed_s == pytest.approx(4 * DAY_S)
    assert run.tally.transferred > 0


def test_equal_seeds_give_equal_courses_and_others_do_not(small, simulate, ordinary):
    assert described(simulate(small())) == described(ordinary)
    assert described(simulate(small(), seed=2)) != described(ordinary)


@pytest.mark.parametrize(
    "change",
    [
        {"bot": {"arms": [{"version": "1", "accuracy": 0.5}]}},
        {"bot": {"arms": [{"version": "1", "share": 0.5}, {"version": "2", "share": 0.5}]}},
        {"bot": {"arms": []}},
        {"bot": {"threshold": 0.0}},
        {"teams": [{"name": "all", "agents": 9, "queues": ["care", "technical"]}]},
    ],
)
def test_the_same_customers_come_whatever_the_bot_and_the_staffing(small, simulate, ordinary, change):
    def customers(run):
        return sorted(
            (
                contact.conversation_id,
                contact.start_s,
                contact.customer.customer_id,
                contact.customer.language,
                str(contact.customer.segments),
                contact.intent,
                contact.channel,
                contact.queue,
            )
            for contact, _ in run.courses
            if contact.attempt == 1
        )

    assert customers(simulate(small(**change))) == customers(ordinary)


def test_more_agents_shorten_the_wait_and_fewer_customers_give_up(small, simulate):
    def staffed(agents):
        team = {"name": "all", "agents": agents, "queues": ["care", "technical"]}
        runs = [simulate(small(days=1, teams=[team]), seed=seed).tally for seed in range(5)]
        waited_s, abandoned = (fmean(getattr(run, name) for run in runs) for name in ("waited_s", "abandoned"))
        return waited_s / fmean(run.answered for run in runs), abandoned

    waits = [staffed(agents) for agents in (2, 3, 5, 20)]
    assert waits == sorted(waits, reverse=True)
    assert waits[-1] == (0.0, 0.0)


def test_who_comes_back_is_the_same_customer_with_the_same_problem_within_the_days(small, simulate):
    run = simulate(
        small(days=20, contacts_per_day=60, customers={"return_ratio": 1.0, "relapse_ratio": 1.0, "return_days": 3.0})
    )
    found = {contact.conversation_id: (contact, course) for contact, course in run.courses}
    ended_at = {each.contact.conversation_id: each.at for each in run.stage.all("end")}
    returned = 0
    for name, (contact, _) in found.items():
        if contact.attempt == 1:
            assert "." not in name
            continue
        returned += 1
        first = name.partition(".")[0]
        assert name == f"{first}.{contact.attempt}"
        before, course = found[first if contact.attempt == 2 else f"{first}.{contact.attempt - 1}"]
        for attribute in ("customer", "intent", "channel", "queue", "incident"):
            assert getattr(contact, attribute) == getattr(before, attribute)
        assert 600 <= course.return_s <= 3 * DAY_S
        assert contact.start_s >= ended_at[before.conversation_id] + course.return_s
        assert contact.attempt <= 5
    assert returned > 100
    assert Counter(contact.attempt for contact, _ in run.courses)[5] > 0


def test_who_comes_back_keeps_the_run_s_name_whatever_it_is(small, catalogue):
    ids = []
    Centre(
        small(contacts_per_day=50, customers={"return_ratio": 1.0, "relapse_ratio": 1.0}),
        catalogue,
        Silent(None),
        seed=1,
        days=10,
        name="run.2",
        on_end=lambda contact, _: ids.append(contact.conversation_id),
    ).run()
    assert len(set(ids)) == len(ids)
    assert {"run.2-0000001", "run.2-0000001.2"} <= set(ids)


def test_who_does_not_come_back_has_no_return(small, simulate):
    run = simulate(small(customers=NOBODY_RETURNS))
    assert {course.return_s for _, course in run.courses} == {None}
    assert {contact.attempt for contact, _ in run.courses} == {1}


def test_who_will_come_back_after_the_period_is_told_so_but_does_not_come(small, simulate):
    run = simulate(small(days=1, customers={"return_ratio": 1.0, "return_days": 14.0}))
    reopened = [each for each in run.stage.all("report") if each.details[0].reopened]
    assert len(reopened) == sum(course.return_s is not None for _, course in run.courses) > 0
    assert max(contact.start_s for contact, _ in run.courses) < DAY_S


def test_an_intent_taken_for_one_of_another_queue_leads_to_a_transfer(small, simulate):
    scenario = small(intents={"bill_dispute": 1.0}, customers={"patience_s": {}})
    wrong = simulate(scenario, bot=stubborn("slow_internet"))
    assert wrong.tally.transferred == wrong.tally.answered > 0
    assert {each.details[0][:4] for each in wrong.stage.all("accept")} == {"tech"}
    near = simulate(scenario, bot=stubborn("late_fee"))
    assert near.tally.transferred == 0
    assert near.tally.right == 0


def test_the_last_question_decides_the_queue(small, simulate):
    scenario = small(
        intents={"bill_dispute": 1.0},
        customers={"leave_ratio": 0.0, "retry_ratio": 1.0, "patience_s": {}},
        bot={"solve_ratio": 0.0},
    )
    again = simulate(scenario, bot=stubborn("slow_internet", "bill_dispute", confidence=0.9)).tally
    assert again.answered > again.transferred == again.right == 0
    worse = simulate(scenario, bot=stubborn("bill_dispute", "slow_internet", confidence=0.9)).tally
    assert worse.transferred == worse.answered == worse.right


def test_who_gives_up_in_a_second_line_was_answered_and_did_not_abandon(small, simulate):
    teams = [
        {"name": "technical", "agents": 5, "queues": ["technical"]},
        {"name": "care", "agents": 1, "queues": ["care"], "shift": ["23:00:00", "23:30:00"]},
    ]
    scenario = small(
        intents={"bill_dispute": 1.0}, channels={"chat": 1.0}, teams=teams, customers={"patience_s": {"chat": 60.0}}
    )
    run = simulate(scenario, days=0.5, bot=stubborn("slow_internet"))
    assert run.tally.answered == run.tally.transferred == run.tally.contacts > 50
    assert run.tally.abandoned == 0
    assert not any(course.solved for _, course in run.courses)
    handled_s = {contact.conversation_id: course.handled_s for contact, course in run.courses}
    told = [each for each in run.stage.all("report") if each.details[0].resolution is not None]
    assert len(told) == run.tally.contacts
    for each in told:
        assert each.details[0].resolution == "unresolved"
        assert each.details[0].handle_time_s == pytest.approx(handled_s[each.contact.conversation_id], abs=0.06)
    assert min(handled_s.values()) > 0


def test_only_the_wait_for_the_first_answer_decides_whether_it_came_in_time(small, simulate):
    passed_on = in_time = 0
    for _, course in simulate(small(contacts_per_day=700, bot={"threshold": 1.0, "arms": UNSURE})).courses:
        assert course.in_time is (course.answered and course.first_wait_s <= 20)
        assert course.first_wait_s == course.waited_s or course.transfers > 0
        passed_on += course.first_wait_s < course.waited_s
        in_time += course.in_time
    assert min(passed_on, in_time) > 5


def test_a_right_suggestion_that_is_followed_shortens_the_work(small, simulate):
    def handled_s(said, assist_ratio):
        teams = [{"name": name, "agents": 5, "queues": [name], "feedback_ratio": 1.0} for name in ("care", "technical")]
        scenario = small(teams=teams, intents={"bill_dispute": 1.0}, bot={"assist_ratio": assist_ratio})
        tally = simulate(scenario, bot=stubborn(said)).tally
        return tally.handled_s / tally.answered

    assert handled_s("bill_dispute", 0.5) == pytest.approx(40 + 300 * (1 - 0.9 * 0.5), rel=0.08)
    assert handled_s("bill_dispute", 0.0) == pytest.approx(40 + 300, rel=0.08)
    assert handled_s("late_fee", 0.5) == pytest.approx(40 + 300, rel=0.08)


def test_a_transferred_customer_costs_time_and_satisfaction(small, simulate):
    scenario = small(intents={"bill_dispute": 1.0}, customers={"patience_s": {}}, contacts_per_day=100)
    wrong, right = (simulate(scenario, bot=stubborn(said)).tally for said in ("slow_internet", "bill_dispute"))
    assert wrong.handled_s / wrong.answered > right.handled_s / right.answered
    assert wrong.satisfaction / wrong.contacts < right.satisfaction / right.contacts


def test_without_a_bot_who_chose_the_wrong_line_is_passed_on(small, simulate, catalogue):
    scenario = small(bot={"arms": []}, days=4, customers={"patience_s": {}})
    run, right = simulate(scenario), assign_queues(scenario, catalogue)
    wrong = 0
    for contact, course in run.courses:
        assert course.transfers == (contact.queue != right[contact.intent])
        wrong += course.transfers
    assert run.tally.answered == run.tally.contacts
    assert wrong == run.tally.transferred
    assert wrong / run.tally.contacts == pytest.approx(0.1 / 2, abs=0.015)  # lost in the menu, and not right by luck


def test_a_bot_that_reads_right_saves_who_chose_the_wrong_line(small, simulate):
    run = simulate(small(intents={"bill_dispute": 1.0}), bot=stubborn("bill_dispute"))
    assert {contact.queue for contact, _ in run.courses} == {"care", "technical"}
    assert run.tally.answered > run.tally.transferred == 0


def test_without_a_bot_people_answer_everything_and_nothing_is_predicted(small, simulate):
    run = simulate(small(bot={"arms": []}))
    assert run.tally.with_bot == run.tally.contained == 0
    assert run.tally.answered + run.tally.abandoned == run.tally.contacts
    assert {course.said for _, course in run.courses} == {None}
    assert not run.stage.all("judge")
    assert not run.stage.all("review")


def test_a_bot_that_is_never_sure_hands_everything_off(small, simulate):
    assert simulate(small(), bot=stubborn("roaming", threshold=1.0)).tally.contained == 0


def test_a_bot_that_is_always_sure_keeps_most_and_solves_what_it_reads_right(small, simulate):
    scenario = small(bot={"solve_ratio": 1.0, "threshold": 0.0}, intents={"roaming": 0.5, "bill_dispute": 0.5})
    run = simulate(scenario, bot=stubborn("roaming", confidence=0.9))
    solved = {contact.intent: [] for contact, _ in run.courses}
    for contact, course in run.courses:
        if course.bot_ended:
            solved[contact.intent].append(course.solved)
    assert set(solved["roaming"]) == {True}
    assert set(solved["bill_dispute"]) == {False}


def test_who_asks_for_a_person_is_not_kept_by_the_bot(small, simulate):
    run = simulate(small(bot={"threshold": 0.0}))
    asked = [course for contact, course in run.courses if contact.intent == "speak_to_human"]
    assert asked
    assert not any(course.bot_ended for course in asked)


def test_a_made_up_bot_never_reads_what_nobody_taught_it(small, simulate):
    storm = {
        "name": "storm",
        "start": datetime(2026, 3, 2, 6),  # noqa: DTZ001 - the centre's own clock
        "hours": 12.0,
        "intent": "storm_outage",
        "contacts_per_hour": 20.0,
        "where": {"region": "north"},
    }
    run = simulate(small(incidents=[storm], customers={"return_days": 1.0}))
    met = [(contact, course) for contact, course in run.courses if contact.incident == "storm"]
    assert len(met) > 50
    assert {contact.intent for contact, _ in met} == {"storm_outage"}
    assert {contact.customer.segments["region"] for contact, _ in met} == {"north"}
    assert all(course.said not in {"storm_outage", None} for _, course in met)
    assert all((contact.incident == "storm") is (contact.intent == "storm_outage") for contact, _ in run.courses)
    assert max(contact.attempt for contact, _ in met) > 1


def test_unfairness_lowers_accuracy_only_where_it_says(small, simulate):
    unfair = {"name": "accent", "where": {"region": "north", "channel": "voice"}, "accuracy_loss": 0.5}
    shares = {}
    for name, tables in (("fair", []), ("unfair", [unfair])):
        run = simulate(small(days=10, unfairness=tables))
        for voice in (True, False):
            for region in ("north", "south"):
                said = [
                    course.said == contact.intent
                    for contact, course in run.courses
                    if (contact.channel == "voice") is voice and contact.customer.segments["region"] == region
                ]
                shares[name, region, voice] = fmean(said)
    assert shares["unfair", "north", True] == pytest.approx(0.45, abs=0.06)
    del shares["unfair", "north", True]
    assert all(share == pytest.approx(0.9, abs=0.04) for share in shares.values())


@pytest.fixture(scope="module")
def office(small, simulate):
    """Open from nine to five, and without a bot."""
    hours = {"shift": ["09:00:00", "17:00:00"]}
    teams = [{"name": name, "agents": 4, "queues": [name]} | hours for name in ("care", "technical")]
    return simulate(small(teams=teams, bot={"arms": []}, days=3, customers=NOBODY_RETURNS | {"patience_s": PATIENCE}))


UNSURE = [{"version": "1", "accuracy": 0.5}]
PATIENCE = {"chat": 240.0, "voice": 180.0}


def test_nobody_is_taken_outside_the_shifts(office):
    for each in office.stage.all("accept"):
        assert 9 * HOUR_S <= each.at % DAY_S <= 17 * HOUR_S


def test_out_of_hours_callers_and_chatters_give_up_and_emails_wait(office):
    night = [(contact, course) for contact, course in office.courses if 18 * HOUR_S < contact.start_s < DAY_S]
    assert {contact.channel for contact, _ in night} == {"chat", "voice", "email"}
    for contact, course in night:
        assert course.answered is (contact.channel == "email")
        assert course.abandoned is not course.answered
        if course.answered:
            assert contact.start_s + course.waited_s >= DAY_S + 9 * HOUR_S


def test_agents_are_paid_for_their_shifts_and_for_what_they_finish(office):
    shifts_s = 8 * 3 * 8 * HOUR_S
    assert shifts_s <= office.tally.staffed_s <= shifts_s * 1.05
    assert office.tally.busy_s < office.tally.staffed_s


def test_emails_wait_until_nobody_calls_or_chats(small, simulate):
    team = {"name": "one", "agents": 1, "queues": ["care", "technical"]}
    run = simulate(small(teams=[team], bot={"arms": []}, days=1, customers={"patience_s": {}}, contacts_per_day=250))
    taken = {each.contact.conversation_id: each.at for each in run.stage.all("accept")}
    waits = [
        (contact.start_s, taken[contact.conversation_id], contact.channel == "email") for contact, _ in run.courses
    ]
    emails = [(begin, end) for begin, end, email in waits if email and begin < end]
    assert emails
    for _, end in emails:
        assert not any(began < end < taken for began, taken, email in waits if not email)


@pytest.mark.parametrize(("start", "hours"), [("2026-03-02T02:00:00", 6), ("2026-03-02T21:30:00", 10.5)])
def test_a_period_may_begin_in_the_middle_of_a_night_shift(small, simulate, start, hours):
    night = {"name": "night", "agents": 3, "queues": ["care", "technical"], "shift": ["20:00:00", "08:00:00"]}
    run = simulate(small(start=start, teams=[night]), days=0.5)
    assert run.tally.staffed_s == pytest.approx(3 * hours * HOUR_S, rel=0.05)
    first = min(each.at for each in run.stage.all("accept"))
    assert first < HOUR_S


def test_a_shift_is_worked_on_the_days_on_which_it_begins(small, simulate):
    sunday = {
        "name": "sunday",
        "agents": 1,
        "queues": ["care", "technical"],
        "shift": ["22:00:00", "06:00:00"],
        "weekdays": [6],
    }
    run = simulate(small(teams=[sunday], days=8), days=8)  # from Monday, 2 March 2026
    assert run.tally.staffed_s == pytest.approx((6 + 8) * HOUR_S, rel=0.1)
    for each in run.stage.all("accept"):
        moment = each.at % (7 * DAY_S)
        assert moment <= 6 * HOUR_S or moment >= 6 * DAY_S + 22 * HOUR_S


def test_a_fraction_of_a_day_is_a_period(small, simulate, catalogue):
    scenario = small()
    run = simulate(scenario, days=0.26)
    assert max(contact.start_s for contact, _ in run.courses) < 0.26 * DAY_S
    assert run.tally.staffed_s == pytest.approx(4 * 0.26 * DAY_S)
    steps = list(Centre(scenario, catalogue, Silent(None), seed=1, days=0.26).steps())
    assert steps == sorted(steps)
    assert steps[-1] == 1.0
    assert len(steps) == 7


class Unreliable:
    """A stage that fails now and then."""

    def __init__(self, stage, ratio):
        self._stage = stage
        self._ratio = ratio
        self._random = Random(5)
        self.centre = None
        self.failing = Counter()

    def __getattr__(self, name):
        def tell(*arguments, **named):
            if self._random.random() < self._ratio:
                self.failing[name] += 1
                raise StorageFailed("the disk is full")
            return getattr(self._stage, name)(*arguments, **named)

        return tell


def test_a_stage_that_fails_costs_that_conversation_alone(small, simulate, catalogue):
    scenario = small(bot={"review_ratio": 0.5})
    stage = Unreliable(Silent(made_up_bot(scenario.bot, catalogue)), 0.05)
    run = simulate(scenario, stage=stage)
    assert set(stage.failing) == {"ask", "answer", "accept", "judge", "end", "report", "review"}
    assert 100 < run.centre.lost < sum(stage.failing.values())
    begun = run.tally.contacts + run.centre.lost
    assert begun > 800
    assert len({contact.conversation_id for contact, _ in run.courses}) == run.tally.contacts
    assert run.centre.under_way == 0


def test_after_a_failure_the_agent_is_free_again(small, simulate, catalogue):
    scenario = small()
    stage = Unreliable(Silent(made_up_bot(scenario.bot, catalogue)), 0.2)
    run = simulate(scenario, stage=stage)
    floor = run.centre._floor
    assert set(floor._idle) == set(floor._staff)
    assert len(floor._idle) == sum(team.agents for team in scenario.teams)
    assert not any(agent.busy for agent in floor._idle)


def test_the_handle_time_reported_is_that_of_all_who_handled_it(ordinary):
    told = {
        each.contact.conversation_id: each.details[0].handle_time_s
        for each in ordinary.stage.all("report")
        if each.details[0].handle_time_s is not None
    }
    for contact, course in ordinary.courses:
        if contact.conversation_id in told:
            assert told[contact.conversation_id] == pytest.approx(course.handled_s, abs=0.1)
    assert len(told) > 100


def test_the_survey_is_answered_after_the_end_with_the_true_satisfaction(ordinary):
    ended_at = {each.contact.conversation_id: each.at for each in ordinary.stage.all("end")}
    satisfaction = {contact.conversation_id: course for contact, course in ordinary.courses}
    told = [each for each in ordinary.stage.all("report") if each.details[0].csat is not None]
    assert 0.2 < len(told) / len(satisfaction) < 0.35
    for each in told:
        course = satisfaction[each.contact.conversation_id]
        assert each.at > ended_at[each.contact.conversation_id]
        assert each.details[0].csat == course.satisfaction
        assert not course.abandoned


def test_feedback_tells_the_right_intent_except_for_slips_and_biased_agents(small, simulate):
    scenario = small(
        days=4,
        teams=[
            {"name": name, "agents": 3, "queues": [name], "label_error": 0.0, "automation_bias": bias}
            for name, bias in (("care", 0.0), ("technical", 1.0))
        ],
    )
    run = simulate(scenario)
    verdicts = {"care": [], "technical": []}
    for each in run.stage.all("judge"):
        action, agent_id, intent, decision = each.details
        team = agent_id.rpartition("-")[0]
        verdicts[team].append(intent == each.contact.intent)
        if team == "care":
            assert (action == "overridden") is (decision.intent != each.contact.intent)
        else:
            assert (action, intent) == ("accepted", decision.intent)
    assert all(verdicts["care"])
    assert not all(verdicts["technical"])


def test_a_reviewer_tells_the_truth_about_a_share_of_what_the_bot_closed(small, simulate):
    run = simulate(small(bot={"review_ratio": 0.5}, days=4))
    reviews = run.stage.all("review")
    closed = {contact.conversation_id for contact, course in run.courses if course.bot_ended}
    assert {each.contact.conversation_id for each in reviews} <= closed
    assert len(reviews) / len(closed) == pytest.approx(0.5, abs=0.06)
    for each in reviews:
        action, intent, decision = each.details
        assert intent == each.contact.intent
        assert (action == "accepted") is (decision.intent == intent)


def test_who_is_misled_followed_a_wrong_suggestion_about_the_question_they_saw(small, simulate):
    """The bot takes the first question for one thing and the second for another; agents see the second."""
    team = {"name": "all", "agents": 9, "queues": ["care", "technical"], "automation_bias": 1.0, "feedback_ratio": 1.0}
    scenario = small(
        teams=[team],
        intents={"roaming": 0.8, "international_calls": 0.2},  # what nobody ever asks has no answer to suggest
        customers={"leave_ratio": 0.0, "retry_ratio": 1.0, "patience_s": {}},
        bot={"solve_ratio": 0.0, "threshold": 0.0},
    )

    def misled(*intents):
        run = simulate(scenario, bot=stubborn(*intents, confidence=0.9))
        assert run.tally.answered == run.tally.contacts > 50
        return fmean(course.misled for contact, course in run.courses if contact.intent == "roaming")

    assert misled("international_calls", "roaming") == 0
    assert misled("roaming", "international_calls") > 0.9


def test_a_follower_of_suggestions_solves_less_where_the_bot_is_wrong(small, simulate):
    def solved(bias):
        teams = [
            {"name": name, "agents": 5, "queues": [name], "automation_bias": bias, "feedback_ratio": 1.0}
            for name in ("care", "technical")
        ]
        run = simulate(small(teams=teams, days=4), bot=stubborn("cancel_contract"))
        return fmean(course.solved for _, course in run.courses if course.answered)

    assert solved(1.0) < solved(0.0) - 0.2


def test_what_is_held_does_not_grow_with_the_days(small, catalogue):
    scenario = small(
        contacts_per_day=150,
        customers={"return_days": 2.0},
        teams=[
            {"name": name, "agents": 1, "queues": [name], "shift": ["09:00:00", "17:00:00"]}
            for name in ("care", "technical")
        ],
    )
    centre = Centre(scenario, catalogue, Silent(made_up_bot(scenario.bot, catalogue)), seed=1, days=60)
    events, lines = [], []
    for day in range(1, 61):
        centre.env.run(until=day * DAY_S)
        events.append(len(centre.env._queue))
        lines.append(sum(map(len, centre._floor._lines.values())))
    assert max(events[40:]) <= 1.3 * max(events[5:20])
    assert max(lines[40:]) <= 1.5 * max(lines[5:20])
    centre.env.run(until=60 * DAY_S + DRAIN_S)
    assert sum(map(len, centre._floor._lines.values())) == 0
