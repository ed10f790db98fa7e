"""A stage that is a live server: the same contact centre, talking to it over HTTP like anybody else.

Simulated time passes ``speed`` times as fast as the machine's. The server stamps what it is told with its own clock;
handling times are told in simulated seconds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from headset.core.errors import AccessDenied, Conflict, HeadsetError, InvalidInput, StorageFailed
from headset.events.schema import Route
from headset.twin.centre import DAY_S, DRAIN_S, Centre
from headset.twin.desk import Desk
from headset.twin.fault import Faults
from headset.twin.recorded import REVIEWER
from headset.twin.reply import choose_reply
from headset.twin.scenario import BotArm
from headset.twin.script import Script
from headset.twin.stage import Decision
from headset.twin.truth import Beginning, TrueKpis, episodes, true_contact

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    import httpx

    from headset.core.clock import Clock
    from headset.events.schema import FeedbackAction
    from headset.twin.stage import Answer, Contact, Outcome, Request
    from headset.twin.tally import Course
    from headset.twin.truth import Line, TruthFile
    from headset.twin.world import World

_PAUSE_S = 2.0
_PULSE_S = 1.0
_HANDLE_LIMIT_S = 30 * DAY_S  # the API refuses more, even from a feed with the wrong unit


class LiveRun(Struct, frozen=True, kw_only=True):
    """What happened so far.

    Attributes:
        simulated_s: Seconds since the scenario's start.
        begun: Conversations, those of customers who came back included.
        ended: Of these.
        lost: Conversations that the server could not go on with.
        decided: Conversations whose first turn the server knew an intent for.
        right: Of these, with the intent that the customer has in truth.
        handed_off: Conversations that the server gave to a person.
        behind_s: How far, in simulated seconds, the run has been behind its speed at worst.
        problem: The last reason for which a conversation was lost.
        figures: The true KPIs of what is over, see :meth:`headset.twin.tally.Tally.figures`.
    """

    simulated_s: float
    begun: int
    ended: int
    lost: int
    decided: int
    right: int
    handed_off: int
    behind_s: float
    problem: str | None
    figures: dict[str, float | None]


class _Decided(Struct, frozen=True):
    """The server's answer to a customer's turn, as far as people act on it."""

    decision_id: str
    intent: str | None
    route: Route
    suggestions: tuple[str, ...]


class _Conversation:
    """What must be known of a conversation while it is open."""

    __slots__ = ("agent_id", "handed_off", "question", "read_as", "suggestions", "turns")

    def __init__(self) -> None:
        self.turns = 0
        self.handed_off = False
        self.agent_id: str | None = None
        self.question = ""
        self.read_as: str | None = None
        self.suggestions: tuple[str, ...] = ()


class Live:
    """A :class:`~headset.twin.stage.Stage` before a live server, which decides.

    What fails costs the one conversation, except where no other would fare better: a key that is refused, or a
    refusal before any conversation has begun. Those are kept as ``refusal``. A conflict is never one: it is about what
    the server has on record of that conversation.

    Args:
        desk: Reaches the server.
        script: Finds words for what people do.
        faults: Distorts what is told.
        now_s: Simulated seconds since the scenario's start.

    Attributes:
        begun: See :class:`LiveRun`, as for ``ended``, ``decided``, ``right`` and ``handed_off``.
        failures: Requests that failed for good.
        problem: Why the last one did.
        refusal: Why no other request can succeed either; None while all is well.
    """

    def __init__(self, desk: Desk, script: Script, faults: Faults, now_s: Callable[[], float]) -> None:
        self._desk = desk
        self._script = script
        self._faults = faults
        self._now_s = now_s
        self._open: dict[str, _Conversation] = {}
        self.begun = self.ended = self.decided = self.right = self.handed_off = self.failures = 0
        self.problem: str | None = None
        self.refusal: HeadsetError | None = None

    def ask(self, contact: Contact, request: Request) -> Decision:
        """See :meth:`Stage.ask`."""
        held = self._open.get(contact.conversation_id)
        first = self._first(contact) if held is None else {}
        held = held or self._open.setdefault(contact.conversation_id, _Conversation())
        text = self._script.request(contact, request, self._now_s())
        told = self._say(contact, held, text=text, **first)
        try:
            decided = msgspec.convert(told, _Decided)
        except msgspec.ValidationError as error:
            raise self._failed(contact, InvalidInput("url", f"a decision cannot be read ({error})")) from None
        if first:
            self.begun += 1
            self.decided += decided.intent is not None
            self.right += decided.intent == contact.intent
        if request in {"ask", "retry"}:
            held.question, held.read_as, held.suggestions = text, decided.intent, decided.suggestions
        if decided.route == "human" and not held.handed_off:
            held.handed_off = True
            self.handed_off += 1
            if held.agent_id is not None:  # the customer came to a person before the server gave them to one
                self.accept(contact, held.agent_id)
        suggested = bool(decided.suggestions)
        return Decision(decided.decision_id, decided.intent, decided.route, suggested, decided.suggestions)

    def answer(self, contact: Contact, answer: Answer, agent_id: str | None = None) -> None:
        """See :meth:`Stage.answer`."""
        held = self._open[contact.conversation_id]
        if agent_id is None and answer == "reply" and held.suggestions:
            text = held.suggestions[0]
        else:
            text = self._words(contact, held, answer, contact.intent if agent_id else held.read_as)
        self._say(contact, held, text=text, speaker="agent" if agent_id else "bot", speaker_id=agent_id)

    def accept(self, contact: Contact, agent_id: str) -> None:
        """See :meth:`Stage.accept`; where the server did not hand the conversation off, it is not told."""
        held = self._open[contact.conversation_id]
        held.agent_id = agent_id
        if held.handed_off:
            self._post(contact, f"{_path(contact)}/handoff/accept", agent_id=agent_id)

    def judge(
        self, contact: Contact, decision: Decision, action: FeedbackAction, agent_id: str, intent: str | None
    ) -> None:
        """See :meth:`Stage.judge`."""
        held = self._open[contact.conversation_id]
        path = f"/v1/decisions/{decision.decision_id}"
        if decision.suggestions:
            self._post(contact, f"{path}/shown", agent_id=agent_id)
        action = _nearest(action, decision, intent)
        reply, _ = choose_reply(self._script, contact, decision, action, held.question)
        self._post(contact, f"{path}/feedback", action=action, agent_id=agent_id, intent=intent, reply=reply)
        self._say(contact, held, text=reply, speaker="agent", speaker_id=agent_id)

    def review(self, contact: Contact, decision: Decision, action: FeedbackAction, intent: str) -> None:
        """See :meth:`Stage.review`."""
        path = f"/v1/decisions/{decision.decision_id}/feedback"
        self._post(contact, path, action=_nearest(action, decision, intent), agent_id=REVIEWER, intent=intent)

    def end(self, contact: Contact, ended_by: Literal["customer", "agent", "bot"]) -> None:
        """See :meth:`Stage.end`."""
        self._post(contact, f"{_path(contact)}/end", ended_by=ended_by)
        del self._open[contact.conversation_id]
        self.ended += 1

    def report(self, contact: Contact, outcome: Outcome) -> None:
        """See :meth:`Stage.report`."""
        for told in self._faults.outcomes(contact, outcome, self._now_s()):
            fields = msgspec.structs.asdict(told)
            if told.handle_time_s is not None:
                fields["handle_time_s"] = min(told.handle_time_s, _HANDLE_LIMIT_S)
            self._post(contact, f"{_path(contact)}/outcome", **fields)

    def _first(self, contact: Contact) -> dict[str, Any]:
        """What is told with the first turn."""
        language, segments = self._faults.attributes(contact, self._now_s())
        return {
            "channel": contact.channel,
            "queue": contact.queue,
            "language": language,
            "customer_id": contact.customer.customer_id,
            "attributes": segments,
        }

    def _words(self, contact: Contact, held: _Conversation, answer: Answer, intent: str | None) -> str:
        """What is said to somebody taken to want ``intent``; to what they do want, where there are no words for it."""
        try:
            return self._script.answer(contact, answer, held.question, intent or contact.intent)
        except InvalidInput:
            return self._script.answer(contact, answer, held.question, contact.intent)

    def _say(self, contact: Contact, held: _Conversation, **turn: object) -> dict[str, Any]:
        """Post a turn; they are numbered, so that the server refuses one that it has taken already."""
        told = self._post(contact, f"{_path(contact)}/turns", turn_id=str(held.turns + 1), **turn)
        held.turns += 1
        return told

    def _post(self, contact: Contact, path: str, **body: object) -> dict[str, Any]:
        try:
            return self._desk.post(path, **body)
        except HeadsetError as error:
            raise self._failed(contact, error) from error

    def _failed(self, contact: Contact, error: HeadsetError) -> StorageFailed:
        """Forget the conversation, and tell the centre that it cannot go on."""
        self._open.pop(contact.conversation_id, None)
        self.failures += 1
        self.problem = str(error)
        invalid = isinstance(error, InvalidInput) and not isinstance(error, Conflict)
        if isinstance(error, AccessDenied) or (invalid and self.begun == 0):
            self.refusal = error
        return StorageFailed(str(error))


class Pace:
    """Simulated time beside the machine's.

    Args:
        clock: The machine's.
        speed: Simulated seconds per second.
        wait: Sleeps so many seconds; returns True when it is time to stop.

    Attributes:
        stopped: It was time to stop.
        behind_s: Simulated seconds by which something was late, at worst.
    """

    def __init__(self, clock: Clock, speed: float, wait: Callable[[float], bool]) -> None:
        self._clock = clock
        self._speed = speed
        self._wait = wait
        self._began = clock.monotonic()
        self.stopped = False
        self.behind_s = 0.0

    def wait(self, seconds: float) -> bool:
        """Let the time pass; True when it is time to stop, from then on always."""
        self.stopped = self.stopped or self._wait(seconds)
        return self.stopped

    def approach(self, time_s: float) -> bool:
        """Come nearer to the simulated time by a second at most; True when it is reached."""
        ahead_s = time_s / self._speed - (self._clock.monotonic() - self._began)
        self.behind_s = max(self.behind_s, -ahead_s * self._speed)
        self.wait(min(max(ahead_s, 0.0), _PULSE_S))
        return ahead_s <= _PULSE_S


def run_live(  # noqa: PLR0913 - the world, the server, time and what is told of it come in as arguments
    world: World,
    *,
    client: httpx.Client,
    clock: Clock,
    wait: Callable[[float], bool],
    seed: int,
    speed: float,
    run: str,
    days: float | None = None,
    truth: TruthFile | None = None,
    on_end: Callable[[Contact, Course], None] = lambda _contact, _course: None,
    watch: Callable[[LiveRun], None] = lambda _: None,
) -> LiveRun:
    """Let a scenario happen to a live server until its end, or until it is time to stop.

    Where the server, or this machine, cannot keep up with ``speed``, the run goes on as fast as it can and says how
    far behind it was. What begins before ``days`` are over is brought to its end; surveys and customers who would come
    back after that are not waited for. When it is time to stop, conversations under way are left as they are.

    Args:
        world: What happens; its bot is not asked, the server is.
        client: Bound to the server's address, with a key that may decide and give feedback.
        clock: The machine's.
        wait: Sleeps so many seconds; returns True when it is time to stop.
        seed: Of everything that people do; what becomes of it depends on the server too.
        speed: Simulated seconds per second, above 0.
        run: Part of the conversation ids, so that two runs do not meet.
        days: How many; None to go on until it is time to stop, past the scenario's own end.
        truth: Where the truth goes, under the conversation ids that the server knows; times are simulated ones.
        on_end: Told of each contact, and how it went, when that is settled.
        watch: Told every second what happened so far.

    Raises:
        StorageFailed: the truth cannot be written.
        AccessDenied: the server refuses the key, now or later.
        InvalidInput: the server refuses the very first conversation, or is no Headset server.
    """
    scenario = world.scenario
    pace = Pace(clock, speed, wait)
    live = Live(Desk(client, pace.wait), Script(scenario, world.utterances), Faults(scenario), lambda: centre.env.now)
    # One arm, whose name means nothing: which version serves a customer is the server's matter.
    served = msgspec.structs.replace(scenario, bot=msgspec.structs.replace(scenario.bot, arms=(BotArm(),)))
    lines: list[Line] = [Beginning(scenario.name, seed, scenario.start, days), *episodes(scenario, days)]

    def settle(contact: Contact, course: Course) -> None:
        lines.append(msgspec.structs.replace(true_contact(contact, course, scenario.start), arm=None))
        on_end(contact, course)

    centre = Centre(served, world.catalogue, live, seed=seed, days=days, on_end=settle, name=f"twin-{run}")
    until_s = math.inf if days is None else days * DAY_S
    told_at = clock.monotonic()
    while not pace.stopped and (due_s := centre.env.peek()) <= until_s + (DRAIN_S if centre.under_way else 0.0):
        reached = pace.approach(due_s)
        if clock.monotonic() - told_at >= _PULSE_S:
            told_at = clock.monotonic()
            watch(_state(centre, live, pace))
        if not reached or pace.stopped:
            continue
        failures = live.failures
        centre.env.step()
        if lines and truth is not None:
            truth.write(*lines)
        lines.clear()
        if live.refusal is not None:
            raise live.refusal
        if live.failures > failures:
            pace.wait(_PAUSE_S)
    state = _state(centre, live, pace)
    if truth is not None:
        truth.write(*lines, TrueKpis(None, centre.tally.contacts, state.figures))
    return state


def _path(contact: Contact) -> str:
    return f"/v1/conversations/{contact.conversation_id}"


def _state(centre: Centre, live: Live, pace: Pace) -> LiveRun:
    return LiveRun(
        simulated_s=centre.env.now,
        begun=live.begun,
        ended=live.ended,
        lost=centre.lost,
        decided=live.decided,
        right=live.right,
        handed_off=live.handed_off,
        behind_s=pace.behind_s,
        problem=live.problem,
        figures=centre.figures(),
    )


def _nearest(action: FeedbackAction, decision: Decision, intent: str | None) -> FeedbackAction:
    """The action nearest to ``action`` that is true of the decision; the API takes no other.

    >>> _nearest("accepted", Decision("d", "refund", "human", suggested=False), "roaming")
    'overridden'
    """
    if action == "overridden":
        if intent is None:
            return "rejected"
        return "overridden" if intent != decision.intent else "accepted"
    if action in {"accepted", "edited"}:
        if intent is not None and intent != decision.intent:
            return "overridden"
        if decision.intent is None:
            return "ignored"
        return action if decision.suggestions else "accepted"
    return action
