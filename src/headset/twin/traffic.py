"""A trickle of simulated conversations against a live server: customers ask, the bot or an agent answers.

Agents know what the customer really wants. They look at the suggestions, accept or edit a fitting one,
write their own otherwise, and say which intent was right. Of what the bot closes alone, a random share is reviewed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from msgspec import Struct

from headset.core.errors import StorageFailed
from headset.twin.starter import starter_examples, starter_replies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from headset.twin.starter import Example

_AGENTS = ("ana", "ben", "chidi", "dora")
_ADDED = ("Is there anything else?", "I have noted it on your account.", "Sorry for the trouble.")
_RETRY_AFTER_S = (0.2, 0.4, 0.8, 1.6)
_PAUSE_S = 2.0
_REVIEWED_RATIO = 0.3
_DRAWN_AT_ONCE = 64


class Tally(Struct):
    """What happened so far."""

    conversations: int = 0
    correct: int = 0
    handed_off: int = 0


class Desk:
    """Talks to one server; retries what was refused for a moment, gives up on what is wrong.

    Raises:
        StorageFailed: the server cannot be reached, or refuses.
    """

    def __init__(self, client: httpx.Client, wait: Callable[[float], bool]) -> None:
        self._client = client
        self._wait = wait

    def post(self, path: str, **body: object) -> dict[str, Any]:
        """Post ``body`` (fields that are None are left out) and return the answer."""
        sent = {name: value for name, value in body.items() if value is not None}
        pauses = iter(_RETRY_AFTER_S)
        while True:
            try:
                answer = self._client.post(path, json=sent)
            except httpx.TransportError as error:
                problem, passing = f"cannot be reached ({error})", True
            else:
                if answer.is_success:
                    return dict(answer.json())
                problem = f"refused {path}: {answer.text[:200]}"
                passing = answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            pause_s = next(pauses, None)
            if pause_s is None or not passing or self._wait(pause_s):
                raise StorageFailed(f"{self._client.base_url} {problem}")


def trickle(
    client: httpx.Client, random: Random, *, per_second: float, run: str, wait: Callable[[float], bool]
) -> Tally:
    """Hold conversations one after another until ``wait`` says stop.

    Args:
        client: Bound to the server's address, with a key that may decide and give feedback.
        random: Decides everything.
        per_second: Conversations begun per second, on average (Poisson).
        run: Part of the conversation ids, so that two runs do not meet.
        wait: Sleeps so many seconds; returns True when it is time to stop.
    """
    desk, tally, replies = Desk(client, wait), Tally(), starter_replies()
    examples: list[Example] = []
    while not wait(random.expovariate(per_second)):
        examples = examples or starter_examples(_DRAWN_AT_ONCE, random)
        tally.conversations += 1
        try:
            _hold(desk, random, f"twin-{run}-{tally.conversations}", examples.pop(), replies, tally)
        except StorageFailed:
            if wait(_PAUSE_S):
                break
    return tally


def _hold(
    desk: Desk,
    random: Random,
    conversation: str,
    example: Example,
    replies: Mapping[str, Sequence[str]],
    tally: Tally,
) -> None:
    path = f"/v1/conversations/{conversation}"
    channel = random.choice(("chat", "chat", "voice", "email"))
    decision = desk.post(f"{path}/turns", text=example.text, turn_id="1", channel=channel, queue="care")
    right = decision["intent"] == example.intent
    tally.correct += right
    if decision["route"] == "bot" and right:
        reply = (decision["suggestions"] or replies[example.intent])[0]
        desk.post(f"{path}/turns", text=reply, turn_id="2", speaker="bot")
        _end(desk, path, random, by="customer", resolved=random.random() < 0.93, handle_s=random.uniform(20, 90))
        if random.random() < _REVIEWED_RATIO:
            _review(desk, decision, example)
        return
    if decision["route"] == "bot":
        desk.post(f"{path}/turns", text="Sorry, that is not it. Can I talk to a person please?", turn_id="2")
    tally.handed_off += 1
    _help(desk, path, random, decision, example, replies)
    _end(desk, path, random, by="agent", resolved=random.random() < 0.88, handle_s=random.lognormvariate(5.6, 0.5))


def _review(desk: Desk, decision: Mapping[str, Any], example: Example) -> None:
    """A reviewer reads a conversation the bot closed, drawn at random, and says which intent was right."""
    desk.post(
        f"/v1/decisions/{decision['decision_id']}/feedback",
        action="accepted",
        agent_id="quality",
        intent=example.intent,
    )


def _help(
    desk: Desk,
    path: str,
    random: Random,
    decision: Mapping[str, Any],
    example: Example,
    replies: Mapping[str, Sequence[str]],
) -> None:
    """An agent takes over, answers, and says what was right."""
    agent = random.choice(_AGENTS)
    desk.post(f"{path}/handoff/accept", agent_id=agent)
    own = random.choice(replies[example.intent])
    fitting = [text for text in decision["suggestions"] if text in replies[example.intent]]
    if decision["suggestions"]:
        desk.post(f"/v1/decisions/{decision['decision_id']}/shown", agent_id=agent)
    if decision["intent"] != example.intent:
        action, reply = "overridden", own
    elif fitting and random.random() < 0.7:
        action, reply = "accepted", fitting[0]
    elif fitting:
        action, reply = "edited", f"{fitting[0]} {random.choice(_ADDED)}"
    else:
        action, reply = "rejected", own
    desk.post(
        f"/v1/decisions/{decision['decision_id']}/feedback",
        action=action,
        agent_id=agent,
        intent=example.intent,
        reply=reply,
    )
    desk.post(f"{path}/turns", text=reply, speaker="agent", speaker_id=agent)


def _end(desk: Desk, path: str, random: Random, *, by: str, resolved: bool, handle_s: float) -> None:
    csat = random.choice((4, 5, 5) if resolved else (1, 2, 3)) if random.random() < 0.4 else None
    desk.post(f"{path}/end", ended_by=by)
    desk.post(
        f"{path}/outcome",
        resolution="resolved" if resolved else "unresolved",
        handle_time_s=round(handle_s, 1),
        csat=csat,
    )
