"""What generators make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from random import Random


class Candidate(Struct, frozen=True):
    """A text that may become a synthetic row.

    Attributes:
        text: What was made.
        sources: Real texts it was made from, the one that gave most first. Phrases that many customers use
            are nobody's, and not named.
    """

    text: str
    sources: tuple[str, ...]


class SyntheticRow(Struct, frozen=True):
    """A made-up text of an intent. It is learned from only where all its sources are, and never measured on."""

    text: str
    label: str
    generator: str
    sources: tuple[str, ...]


class Generator(Protocol):
    """Makes texts for an intent from the texts it was built with, and from nothing else."""

    @property
    def name(self) -> str:
        """What rows made by it are marked with."""
        ...

    def draw(self, intent: str, random: Random) -> Candidate | None:
        """One more text for ``intent``; None where nothing came of it this time."""
        ...
