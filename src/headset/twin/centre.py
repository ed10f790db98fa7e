"""The contact centre at work: contacts come in, the bot and the agents answer, customers wait, leave and come back.

A process of ``simpy`` per contact; what is said and kept is the stage's matter. All randomness belongs to the
contact, so two runs with one seed meet the same customers, whatever the bot or the staffing does to them.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, cast

import simpy

from headset.core.errors import StorageFailed
from headset.twin.catalogue import THANKS, assign_queues
from headset.twin.customer import Population
from headset.twin.demand import HOUR_S, Demand
from headset.twin.floor import Floor
from headset.twin.staff import Member, hire, work_shifts
from headset.twin.stage import Contact, Decision, Outcome
from headset.twin.tally import WEEK_S, Course, Tally
from headset.twin.wheel import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from random import Random

    from headset.events.schema import FeedbackAction, Resolution
    from headset.twin.catalogue import Catalogue
    from headset.twin.demand import Arrival
    from headset.twin.scenario import Channel, Scenario
    from headset.twin.stage import Stage

    Steps = Generator[simpy.Event, object, None]
    Talk = Generator[simpy.Event, object, Decision]

DAY_S = 86_400.0
DRAIN_S = 2 * WEEK_S
_THINKS_S: dict[Channel, float] = {"chat": 25.0, "voice": 7.0, "email": 3_600.0}
_BOT_S = 1.5
_SPREAD = 0.6
_MISROUTED_RATIO = 0.25
_LOST_IN_MENU_RATIO = 0.1
_TRIES = 2
_SOONEST_S = 600.0
_TRIES_AGAIN_S = 7_200.0
_ATTEMPTS = 5
_URGENCY: dict[Channel, int] = {"voice": 0, "chat": 0, "email": 1}


class Centre:
    """One simulated period.

    Args:
        scenario: Checked.
        catalogue: Its intents.
        stage: Where conversations take place.
        seed: Equal seeds give equal periods, as far as the stage decides equally.
        days: How many from the scenario's start; None to go on until nobody steps any more.
        on_end: Told of each contact, and how it went, when that is settled.
        name: Begins the ids of conversations.
        env: Of simpy, at time 0; a new one when left out.

    Attributes:
        env: Of simpy; its time is seconds since the start.
        tally: What is known so far.
        lost: Conversations that the stage could not go on with.
        under_way: Conversations that are not over.
    """

    def __init__(
        self,
        scenario: Scenario,
        catalogue: Catalogue,
        stage: Stage,
        *,
        seed: int,
        days: float | None,
        on_end: Callable[[Contact, Course], None] | None = None,
        name: str = "twin",
        env: simpy.Environment | None = None,
    ) -> None:
        self.env = env or simpy.Environment()
        self.tally = Tally()
        self.lost = 0
        self.under_way = 0
        self._scenario = scenario
        self._catalogue = catalogue
        self._stage = stage
        self._seed = seed
        self._until_s = math.inf if days is None else days * DAY_S
        self._on_end = on_end
        self._name = name
        self._demand = Demand(scenario, catalogue, seed)
        self._population = Population(scenario, seed)
        self._channels: Wheel[Channel] = Wheel(scenario.channels)
        self._queue_of = assign_queues(scenario, catalogue)
        self._floor = Floor(self.env)
        staff = hire(scenario)
        self._skills = {skill for member in staff for skill in member.skills}
        for member in staff:
            last_s = self._until_s + DRAIN_S
            self.env.process(work_shifts(member, self._floor, self.env, scenario.start, last_s))
        self.env.process(self._arrive())
        if days is not None:
            self.env.timeout(self._until_s).callbacks.append(lambda _: self._close())

    def steps(self) -> Iterator[float]:
        """Go through the period hour by hour, and on until every contact's end is known.

        Yields:
            The fraction of the period that is over; 1 when all is done.
        """
        hours = math.ceil(self._until_s / HOUR_S)
        for hour in range(1, hours):
            self.env.run(until=hour * HOUR_S)
            yield hour / hours
        self.env.run(until=self._until_s + DRAIN_S)
        yield 1.0

    def run(self) -> Tally:
        """The whole period at once."""
        for _ in self.steps():
            pass
        return self.tally

    def figures(self) -> dict[str, float | None]:
        """The true KPIs so far; see :meth:`headset.twin.tally.Tally.figures`."""
        if self.env.now < self._until_s:
            self._close()
        return self.tally.figures(self._scenario.costs)

    def _close(self) -> None:
        """Take in what agents did until now; after the period they are not counted."""
        self._floor.settle()
        self.tally.busy_s, self.tally.staffed_s = self._floor.busy_s, self._floor.staffed_s

    # -- contacts ------------------------------------------------------------------------------

    def _arrive(self) -> Steps:
        number = hour = 0
        while hour * HOUR_S < self._until_s:
            for arrival in self._demand.arrivals(hour):
                if arrival.time_s >= self._until_s:
                    return
                number += 1
                yield self.env.timeout(max(arrival.time_s - self.env.now, 0.0))
                self.env.process(self._guarded(self._first_contact(arrival, number)))
            hour += 1
            yield self.env.timeout(max(min(hour * HOUR_S, self._until_s) - self.env.now, 0.0))

    def _first_contact(self, arrival: Arrival, number: int) -> Contact:
        contact_id = f"{self._name}-{number:07d}"
        chooser = self._demand.random(number)
        customer = self._population.draw(chooser, arrival.where)
        channel = self._channels.draw(chooser)
        if "channel" in arrival.where:
            channel = arrival.where["channel"]  # type: ignore[assignment] # checked with the scenario
        contact = Contact(contact_id, customer, arrival.intent, channel, self.env.now, str(self._seed))
        contact.queue = self._choose_queue(arrival.intent, chooser)
        contact.incident = arrival.incident
        return self._read_worse(contact)

    def _choose_queue(self, intent: str, random: Random) -> str:
        """The line a customer picks from the menu: now and then the wrong one."""
        lost = random.random() < _LOST_IN_MENU_RATIO
        return random.choice(list(self._scenario.queues)) if lost else self._queue_of[intent]

    def _come_back(self, contact: Contact, return_s: float) -> Steps:
        yield self.env.timeout(return_s)
        self._attempt(lambda: self._stage.report(contact, Outcome(reopened=True)))
        if self.env.now >= self._until_s:
            return
        conversation_id = f"{contact.conversation_id.removesuffix(f'.{contact.attempt}')}.{contact.attempt + 1}"
        again = Contact(
            conversation_id, contact.customer, contact.intent, contact.channel, self.env.now, str(self._seed)
        )
        again.attempt = contact.attempt + 1
        again.queue = contact.queue
        again.incident = contact.incident
        yield from self._guarded(self._read_worse(again))

    def _read_worse(self, contact: Contact) -> Contact:
        """Give the contact what makes it hard to read."""
        contact.error_ratio = self._scenario.texts.error_ratio
        for each in self._scenario.unfairness:
            if contact.has(each.where):
                contact.error_ratio = min(contact.error_ratio + each.error_ratio, 1.0)
                contact.accuracy_loss = min(contact.accuracy_loss + each.accuracy_loss, 1.0)
        return contact

    def _guarded(self, contact: Contact) -> Steps:
        """A contact that the stage cannot go on with is lost; the others go on."""
        self.under_way += 1
        try:
            yield from self._serve(contact)
        except StorageFailed:
            self.lost += 1
        finally:
            self.under_way -= 1

    def _serve(self, contact: Contact) -> Steps:
        course = Course()
        arms = self._scenario.bot.arms
        course.arm = arms[contact.customer.arm].version if arms else None
        decision = self._stage.ask(contact, "ask")
        course.said = decision.intent
        if decision.route == "bot":
            decision = yield from self._meet_bot(contact, course, decision)
        if not course.bot_ended:
            yield from self._meet_people(contact, course, decision)
        self._look_back(contact, course, decision)

    def _meet_bot(self, contact: Contact, course: Course, decision: Decision) -> Talk:
        """Until the bot is done with it, or a person must take over; returns the decision about the last question."""
        random, customers = contact.random, self._scenario.customers
        for attempt in range(1, _TRIES + 1):
            yield self.env.timeout(_BOT_S)
            self._stage.answer(contact, "reply")
            yield self.env.timeout(self._think(contact))
            if decision.intent == contact.intent and random.random() < self._scenario.bot.solve_ratio:
                course.solved = True
                self._leave_bot(contact, course)
                return decision
            if random.random() < customers.leave_ratio:
                self._leave_bot(contact, course)
                return decision
            if attempt == _TRIES or random.random() >= customers.retry_ratio:
                break
            decision = self._stage.ask(contact, "retry")
            if decision.route == "human":
                return decision
        self._stage.ask(contact, "person")
        return decision

    def _leave_bot(self, contact: Contact, course: Course) -> None:
        course.bot_ended = True
        thanked = course.solved and THANKS in self._catalogue.groups and contact.random.random() < 0.5
        if thanked:
            self._stage.ask(contact, "thanks")
        self._stage.end(contact, "customer")
        if thanked:
            self._stage.report(contact, Outcome(resolution="resolved"))

    def _meet_people(self, contact: Contact, course: Course, decision: Decision) -> Steps:
        """Wait, be answered, and be passed on when it was the wrong queue.

        The bot's reading of the problem says which queue; without one, it is the line the customer picked.
        """
        right = self._queue_of[contact.intent]
        queue = contact.queue if decision.intent is None else self._queue_of.get(decision.intent, right)
        if (queue, contact.customer.language) not in self._skills:
            queue = right
        judged = False
        while True:
            agent = yield from self._wait(contact, course, queue)
            if agent is None:
                course.abandoned = not course.answered
                self._stage.end(contact, "customer")
                handled_s = round(course.handled_s, 1) if course.answered else None
                resolution: Resolution = "unresolved" if course.answered else "abandoned"
                self._stage.report(contact, Outcome(resolution=resolution, handle_time_s=handled_s))
                return
            try:
                if not course.answered:
                    course.answered = True
                    self._stage.accept(contact, agent.agent_id)
                followed = None if judged else self._judge(contact, decision, agent)
                judged = True
                if queue == right:
                    yield from self._help(contact, course, agent, decision, followed=followed)
                    return
                yield from self._pass_on(contact, course, agent, queue)
            finally:
                self._floor.release(agent)
            queue = right

    def _wait(self, contact: Contact, course: Course, queue: str) -> Generator[simpy.Event, object, Member | None]:
        mean_s = self._scenario.customers.patience_s.get(contact.channel)
        patience_s = None if mean_s is None else contact.random.expovariate(1 / mean_s)
        began = self.env.now
        waiting = self._floor.request((queue, contact.customer.language), patience_s, urgency=_URGENCY[contact.channel])
        agent = cast("Member | None", (yield waiting))
        if not course.answered:
            course.first_wait_s = self.env.now - began
            limit_s = self._scenario.queues[queue].service_level_s
            course.in_time = agent is not None and course.first_wait_s <= limit_s
        course.waited_s += self.env.now - began
        return agent

    def _judge(self, contact: Contact, decision: Decision, agent: Member) -> bool | None:
        """The agent answers with the suggestions in view; True when they followed them, None when they say nothing."""
        random = contact.random
        answers = decision.intent is not None and random.random() < agent.team.feedback_ratio
        mood, slips, other = random.random(), random.random(), random.randrange(len(self._catalogue.usual))
        if not answers:
            self._stage.answer(contact, "reply", agent.agent_id)
            return None
        verdict = self._catalogue.usual[other] if slips < agent.team.label_error else contact.intent
        action: FeedbackAction
        if agent.biased or verdict == decision.intent:
            verdict = decision.intent or ""
            action = "accepted" if agent.biased or mood < 0.6 or not decision.suggested else "edited"
            if not agent.biased and decision.suggested and mood >= 0.9:
                action = "rejected"
        else:
            action = "overridden"
        self._stage.judge(contact, decision, action, agent.agent_id, verdict)
        return action in {"accepted", "edited"} and decision.suggested

    def _help(
        self, contact: Contact, course: Course, agent: Member, decision: Decision, *, followed: bool | None
    ) -> Steps:
        """Talk, then write it up."""
        random, team = contact.random, agent.team
        queue = self._scenario.queues[self._queue_of[contact.intent]]
        right = decision.intent == contact.intent
        course.misled = bool(followed) and not right
        talk_s = _spread(queue.handle_s * team.pace, queue.shape, random)
        wrap_s = _spread(queue.wrap_s * team.pace, queue.shape, random)
        if followed and right:
            talk_s *= 1 - self._scenario.bot.assist_ratio
        goes_on, thanks = random.random(), random.random()
        course.solved = random.random() < team.solve_ratio * (0.5 if course.misled else 1.0)
        yield self.env.timeout(talk_s * 0.5)
        if contact.channel != "email":
            if course.solved and goes_on < 0.6:
                self._stage.ask(contact, "agreement" if goes_on < 0.3 else "question")
                self._stage.answer(contact, "confirmation", agent.agent_id)
            elif not course.solved:
                self._stage.ask(contact, "complaint")
                self._stage.answer(contact, "apology", agent.agent_id)
        yield self.env.timeout(talk_s * 0.5)
        if course.solved and thanks < 0.4 and contact.channel != "email" and THANKS in self._catalogue.groups:
            self._stage.ask(contact, "thanks")
        self._stage.end(contact, "agent")
        yield self.env.timeout(wrap_s)
        course.handled_s += talk_s + wrap_s
        resolution: Resolution = "resolved" if course.solved else "unresolved"
        self._stage.report(contact, Outcome(resolution=resolution, handle_time_s=round(course.handled_s, 1)))

    def _pass_on(self, contact: Contact, course: Course, agent: Member, queue: str) -> Steps:
        """An agent of the wrong queue finds out where the customer belongs."""
        table, pace = self._scenario.queues[queue], agent.team.pace
        talk_s = _spread(table.handle_s * _MISROUTED_RATIO * pace, table.shape, contact.random)
        yield self.env.timeout(talk_s)
        self._stage.answer(contact, "transfer", agent.agent_id)
        course.handled_s += talk_s
        course.transfers += 1

    # -- afterwards ----------------------------------------------------------------------------

    def _look_back(self, contact: Contact, course: Course, decision: Decision) -> None:
        """How the customer liked it, and whether they will be back; told as it becomes known."""
        random, customers = contact.random, self._scenario.customers
        course.satisfaction = _satisfaction(contact, course)
        if random.random() < customers.survey_ratio and not course.abandoned:
            delay_s = min(random.expovariate(1 / (customers.survey_hours * HOUR_S)), DRAIN_S)
            self.env.process(self._later(delay_s, contact, Outcome(csat=course.satisfaction)))
        ratio = customers.relapse_ratio if course.solved else customers.return_ratio
        if random.random() < ratio and contact.attempt < _ATTEMPTS:
            longest_s = customers.return_days * DAY_S
            if course.abandoned:  # who was not answered tries again soon
                course.return_s = min(_SOONEST_S + random.expovariate(1 / _TRIES_AGAIN_S), longest_s)
            else:
                course.return_s = random.triangular(_SOONEST_S, longest_s, 0.1 * longest_s)
            self.env.process(self._come_back(contact, course.return_s))
        if course.bot_ended and decision.intent is not None and random.random() < self._scenario.bot.review_ratio:
            self.env.process(self._review(contact, decision, random.uniform(1, 24) * HOUR_S))
        self.tally.count(contact, course)
        if self._on_end is not None:
            self._on_end(contact, course)

    def _later(self, delay_s: float, contact: Contact, outcome: Outcome) -> Steps:
        yield self.env.timeout(delay_s)
        self._attempt(lambda: self._stage.report(contact, outcome))

    def _review(self, contact: Contact, decision: Decision, delay_s: float) -> Steps:
        yield self.env.timeout(delay_s)
        action: FeedbackAction = "accepted" if decision.intent == contact.intent else "overridden"
        self._attempt(lambda: self._stage.review(contact, decision, action, contact.intent))

    def _attempt(self, telling: Callable[[], None]) -> None:
        """News that the stage cannot keep is lost; the conversation is over anyway."""
        with suppress(StorageFailed):
            telling()

    def _think(self, contact: Contact) -> float:
        return _spread(_THINKS_S[contact.channel], "lognormal", contact.random)


def _spread(mean: float, shape: Literal["lognormal", "exponential"], random: Random) -> float:
    """A positive time of this mean; 0 where the mean is."""
    if mean <= 0:
        return 0.0
    if shape == "exponential":
        return random.expovariate(1 / mean)
    variance = math.log1p(_SPREAD**2)
    return random.lognormvariate(math.log(mean) - variance / 2, math.sqrt(variance))


def _satisfaction(contact: Contact, course: Course) -> int:
    """From 1 to 5: above all whether the problem is solved, then waiting, being passed on, and having to come back."""
    score = 4.6 if course.solved else 2.3
    if contact.channel != "email":
        score -= min(course.waited_s / 200.0, 1.5)
    score -= 0.4 * course.transfers + 0.3 * (contact.attempt > 1) + 0.4 * course.misled + 0.5 * course.abandoned
    return min(max(round(contact.random.gauss(score, 0.6)), 1), 5)
