"""The true figures, worked out by hand on a few courses."""

from __future__ import annotations

import pytest

from headset.twin.customer import Customer
from headset.twin.scenario import Costs
from headset.twin.stage import Contact
from headset.twin.tally import KPIS, WEEK_S, Course, Tally

COSTS = Costs(agent_hour=30.0, bot_contact=0.5)


def contact(number, attempt=1, intent="roaming"):
    made = Contact(f"c-{number}", Customer("ana", "en", {}, 0), intent, "chat", 0.0, "1")
    made.attempt = attempt
    return made


SEEN = [
    # The bot solves it, and the customer does not come back.
    (contact(1), Course("1", said="roaming", bot_ended=True, solved=True, satisfaction=5)),
    # The bot does not; they come back after two days.
    (contact(2), Course("1", said="data_usage", bot_ended=True, satisfaction=2, return_s=2 * 86_400.0)),
    # And again, for a person: answered in time, solved.
    (
        contact(2, attempt=2),
        Course(
            "1", "roaming", answered=True, in_time=True, first_wait_s=10, waited_s=10, handled_s=300, solved=True,
            satisfaction=4,
        ),
    ),
    # Answered late, passed on after which they wait again; solved, but they come back after eight days.
    (
        contact(3),
        Course(
            "1", "data_usage", answered=True, first_wait_s=50, waited_s=90, handled_s=500, transfers=1, solved=True,
            satisfaction=3, return_s=8 * 86_400.0,
        ),
    ),
    # Gives up.
    (contact(4), Course("1", "roaming", abandoned=True, first_wait_s=200, waited_s=200, satisfaction=1)),
    # Contained as far as anybody knows within a week.
    (contact(5), Course("1", "roaming", bot_ended=True, satisfaction=3, return_s=WEEK_S + 1)),
]  # fmt: skip


def counted(seen):
    tally = Tally()
    for one, course in seen:
        tally.count(one, course)
    return tally


def test_figures_are_those_worked_out_by_hand():
    tally = counted(SEEN)
    tally.busy_s, tally.staffed_s = 900.0, 3_600.0
    assert tally.figures(COSTS) == pytest.approx(
        {
            "containment": 3 / 6,
            "durable_containment": 2 / 6,
            "fcr": 1 / 5,
            "transfer_rate": 1 / 2,
            "abandonment": 1 / 3,
            "service_level": 1 / 3,
            "asa_s": 30.0,
            "aht_s": 400.0,
            "occupancy": 0.25,
            "csat": 3.0,
            "cost_per_contact": (30.0 + 6 * 0.5) / 6,
            "accuracy": 4 / 6,
        }
    )


def test_emails_count_for_everything_but_the_waits_of_callers_and_chatters():
    course = Course(answered=True, in_time=True, first_wait_s=9_000, waited_s=9_000, handled_s=800, satisfaction=5)
    mail = contact(6)
    mail.channel = "email"
    before, after = (counted(seen).figures(COSTS) for seen in (SEEN, [*SEEN, (mail, course)]))
    for kpi in ("abandonment", "service_level", "asa_s", "containment"):
        assert after[kpi] == before[kpi]
    assert after["aht_s"] == pytest.approx((300 + 500 + 800) / 3)
    assert after["transfer_rate"] == pytest.approx(1 / 3)
    assert after["csat"] == pytest.approx((6 * 3 + 5) / 7)


def test_nothing_counted_gives_no_figure():
    figures = Tally().figures(COSTS)
    assert set(figures) == {*KPIS, "accuracy"}
    assert set(figures.values()) == {None}


def test_without_a_bot_nothing_is_contained_nor_read():
    figures = counted([(contact(1), Course(answered=True, solved=True))]).figures(COSTS)
    assert figures["containment"] is figures["durable_containment"] is figures["accuracy"] is None
    assert figures["fcr"] == 1.0


def test_the_cost_is_unknown_where_the_agents_time_is():
    assert counted(SEEN).figures(COSTS)["cost_per_contact"] is None
