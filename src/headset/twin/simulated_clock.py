"""The simulation's time, as a clock."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from headset.core.clock import MICROSECONDS

if TYPE_CHECKING:
    from datetime import datetime

    from simpy import Environment


class SimulatedClock:
    """A :class:`~headset.core.clock.Clock` that goes with a simulation.

    Args:
        env: Its time is seconds since ``start``.
        start: The scenario's, on the centre's clock; taken for UTC.

    >>> import simpy
    >>> from datetime import datetime
    >>> env = simpy.Environment()
    >>> env.run(until=1.5)
    >>> SimulatedClock(env, datetime(1970, 1, 1)).now()
    1500000
    """

    def __init__(self, env: Environment, start: datetime) -> None:
        self._env = env
        self._start = round(start.replace(tzinfo=UTC).timestamp() * MICROSECONDS)

    def now(self) -> int:
        """See :meth:`Clock.now`."""
        return self._start + round(self._env.now * MICROSECONDS)

    def monotonic(self) -> float:
        """See :meth:`Clock.monotonic`."""
        return self._env.now
