"""The customers: who they are stays the same from contact to contact."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.twin.wheel import Wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headset.twin.scenario import Scenario

_DRAWS = 10_000


class Customer(Struct, frozen=True):
    """One person.

    Attributes:
        customer_id: Their id in the log.
        language: What they speak.
        segments: The value of each segment of the scenario.
        arm: Index of the model version that serves them.
    """

    customer_id: str
    language: str
    segments: dict[str, str]
    arm: int


class Population:
    """All customers of a scenario; made when asked for, so that millions cost nothing.

    Args:
        scenario: Says how many there are and what they are like.
        seed: Equal seeds give equal people.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._seed = seed
        self._count = scenario.customers.count
        self._languages = Wheel(scenario.languages)
        self._segments = {name: Wheel(shares) for name, shares in scenario.segments.items()}
        self._arms = Wheel({index: arm.share for index, arm in enumerate(scenario.bot.arms)} or {0: 1.0})

    def customer(self, number: int) -> Customer:
        """The person of this number, from 0 to one below the count."""
        random = Random(f"{self._seed}:customer:{number}")  # noqa: S311 - a simulation
        return Customer(
            f"twin-{number:06d}",
            self._languages.draw(random),
            {name: wheel.draw(random) for name, wheel in self._segments.items()},
            self._arms.draw(random),
        )

    def draw(self, random: Random, where: Mapping[str, str]) -> Customer:
        """Some customer with the attributes ``where``; a channel among them is not the customer's.

        Raises:
            InvalidInput: hardly anybody has them; a scenario that was checked asks for no such thing.
        """
        asked = {name: value for name, value in where.items() if name != "channel"}
        for _ in range(_DRAWS):
            customer = self.customer(random.randrange(self._count))
            if all(_attribute(customer, name) == value for name, value in asked.items()):
                return customer
        raise InvalidInput("where", f"is {asked}, which none of {_DRAWS:,} customers had; name what more of them have")


def _attribute(customer: Customer, name: str) -> str | None:
    return customer.language if name == "language" else customer.segments.get(name)
