"""Exact steady state of a queue with Poisson arrivals and exponential service: Erlang-C and Erlang-A.

Both are birth-death chains of the number of contacts present. Each sum over the chain is kept as a share of the
states seen so far, so every number lies between 0 and the answer: nothing overflows, however many servers.
"""

from __future__ import annotations

import math

from msgspec import Struct

from headset.core.errors import InvalidInput

_PRECISION = 1e-16
_LONGEST_QUEUE = 10_000_000  # a few seconds of summing


class QueueFigures(Struct, frozen=True):
    """What an arriving contact meets in steady state; times in the unit of the rates given.

    Args:
        waiting_probability: Share of arrivals that find every server busy.
        mean_wait: Of all arrivals: those served at once count 0, those who give up count until then.
        served_wait: Mean wait of those who are served in the end.
        abandonment: Share of arrivals that give up before they are served.
    """

    waiting_probability: float
    mean_wait: float
    served_wait: float
    abandonment: float


def erlang_c(*, arrival_rate: float, service_rate: float, servers: int) -> QueueFigures:
    """Everybody waits until served, first come, first served (M/M/c; Erlang 1917).

    Args:
        arrival_rate: Contacts per unit of time.
        service_rate: Contacts one busy server ends per unit of time.
        servers: How many there are.

    Raises:
        InvalidInput: A rate is not positive, there is no server, or the queue would grow without end.

    >>> erlang_c(arrival_rate=0.5, service_rate=1, servers=1)
    QueueFigures(waiting_probability=0.5, mean_wait=1.0, served_wait=1.0, abandonment=0.0)
    """
    blocked = _erlang_b(arrival_rate, service_rate, servers)
    capacity = servers * service_rate
    if arrival_rate >= capacity:
        problem = f"is {arrival_rate:g}, but {servers} servers end only {capacity:g}: lower it or add servers"
        raise InvalidInput("arrival_rate", problem)
    spare = capacity - arrival_rate
    waiting = capacity * blocked / (spare + arrival_rate * blocked)
    return QueueFigures(waiting, waiting / spare, waiting / spare, 0.0)


def erlang_a(*, arrival_rate: float, service_rate: float, servers: int, patience_rate: float) -> QueueFigures:
    """Whoever waits gives up after an exponential time (M/M/c+M; Palm 1957; Garnett, Mandelbaum and Reiman 2002).

    The sum over the queue takes somewhat more than ``(arrival_rate - capacity) / patience_rate`` steps when overloaded.

    Args:
        arrival_rate: Contacts per unit of time; may exceed what the servers can do.
        service_rate: Contacts one busy server ends per unit of time.
        servers: How many there are.
        patience_rate: 1 / the mean time until a waiting contact gives up.

    Raises:
        InvalidInput: A rate is not positive, there is no server, or patience is so long that the queue would
            pass 10 million.

    >>> figures = erlang_a(arrival_rate=2, service_rate=1, servers=2, patience_rate=1)
    >>> round(figures.waiting_probability, 4), round(figures.abandonment, 4)
    (0.594, 0.2707)
    """
    _check_rate("patience_rate", patience_rate)
    here = _erlang_b(arrival_rate, service_rate, servers)
    capacity = servers * service_rate
    # Given at most `queued` contacts in queue: `here` is the chance of exactly so many, `waiting`, `queue` and
    # `promotions` are means. `promotion`: the mean wait of whoever joins as the last of so many and is served.
    waiting, queue, promotion, promotions = here, 0.0, 0.0, 0.0
    for queued in range(1, _LONGEST_QUEUE):
        leaving = capacity + queued * patience_rate
        promotion += 1 / leaving
        others = leaving / (leaving + arrival_rate * here)
        here = arrival_rate * here / (leaving + arrival_rate * here)
        waiting = waiting * others + here
        queue = queue * others + here * queued
        promotions = promotions * others + here * promotion
        # Longer queues are rarer than a geometric series from here on, whose sum is known.
        spare = 1 - arrival_rate / leaving
        if spare > 0 and here * queued <= _PRECISION * spare * spare * queue:
            break
    else:
        problem = f"is {patience_rate:g}, which lets the queue pass {_LONGEST_QUEUE:,}: raise it or add servers"
        raise InvalidInput("patience_rate", problem)
    mean_wait = queue / arrival_rate
    abandonment = patience_rate * mean_wait
    # To join as number k and be served is capacity / arrival_rate times as likely as that k contacts wait.
    served_wait = capacity * promotions / arrival_rate / (1 - abandonment)
    return QueueFigures(min(waiting, 1.0), mean_wait, served_wait, abandonment)  # rounding may pass 1


def _erlang_b(arrival_rate: float, service_rate: float, servers: int) -> float:
    """Chance that all servers are busy when nobody may wait (Erlang's recursion over the number of servers)."""
    _check_rate("arrival_rate", arrival_rate)
    _check_rate("service_rate", service_rate)
    if servers < 1:
        raise InvalidInput("servers", f"is {servers}; give at least 1")
    blocked = 1.0
    for busy in range(1, servers + 1):
        blocked = arrival_rate * blocked / (busy * service_rate + arrival_rate * blocked)
    return blocked


def _check_rate(field: str, rate: float) -> None:
    if not (math.isfinite(rate) and rate > 0):
        raise InvalidInput(field, f"is {rate}; give a number above 0")
