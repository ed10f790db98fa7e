"""The online store: the newest values of features, for the request path.

An engine keeps the rows of each live view version and computes what a model reads at a moment. The log fills it
(:mod:`headset.features.follower`), so whatever it loses comes back. Engines: memory
(:mod:`headset.features.memory`) and Redis (:mod:`headset.backends.redis`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from headset.features.fact import Entity

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from headset.features.definition import FeatureService, FeatureView
    from headset.features.fact import Fact


class FeatureRequest(Struct, frozen=True):
    """What is asked about.

    Attributes:
        keys: Who or what, by kind of entity.
        as_of: The moment, microseconds; nothing later is seen.
    """

    keys: Mapping[Entity, str]
    as_of: int


class FeatureRow(Struct, frozen=True):
    """The values of a service's stored features.

    Attributes:
        values: By ``view.feature``, in the order of ``service.versions``; vectors are float32 arrays, not to be
            written to.
        unknown: The views whose key is missing, or has no fact in reach of their windows: their values are defaults.
        position: Offset of the log up to which the values have heard of it, the same for all views read; 0 if they
            were not read.
        problem: Why all values are defaults; empty if they are not. Views that stand at different offsets are a
            problem, for no prefix of the log gives their values.
    """

    values: dict[str, Any]
    unknown: tuple[str, ...]
    position: int
    problem: str = ""


class OnlineStore(Protocol):
    """What every engine promises; ``tests/contracts/store.py`` proves it.

    ``read`` may be called from any thread, ``write`` and ``rewrite`` from one thread at a time in a process.
    Other processes may write to a shared engine as well, if they fold the same log.
    """

    def install(self, views: Sequence[FeatureView]) -> None:
        """Exactly these versions are live from now on; others are dropped, new ones stand at position 0."""
        ...

    def positions(self) -> dict[str, int]:
        """By version of a live view, the offset of the log after which to go on folding.

        It goes back only where the engine has lost what it held, or this process what it needs to go on.

        Raises:
            StorageFailed: the engine is away.
        """
        ...

    def write(self, facts: Sequence[Fact], position: int, versions: Collection[str]) -> None:
        """Fold facts of the log into these versions; all of the log up to ``position`` is then in them.

        The facts are in the log's order, and hold all there are between each version's position and ``position``.
        Facts from before a version's position are in it already: telling them again makes no difference. A version
        that is not live is passed over.

        Raises:
            StorageFailed: the engine is away, or has lost what it held; go on from :meth:`positions`.
        """
        ...

    def rewrite(self, facts: Sequence[Fact], versions: Collection[str]) -> None:
        """Put facts in the place of those of the same id, which said something else before a text was erased.

        What they replace is gone when this returns, in a shared engine as well. Facts that a version has not
        come to yet are passed over: folding will tell them as they are now.

        Raises:
            StorageFailed: as :meth:`write`.
        """
        ...

    def read(self, service: FeatureService, requests: Sequence[FeatureRequest]) -> list[FeatureRow]:
        """A row for each request; one round trip for all of them.

        It never raises for what the engine does or what is asked about: the row then says the ``problem``.
        """
        ...

    def expire(self, now: int) -> None:
        """Forget what no read from ``now`` less the grace on can reach. ``now`` is the log's clock, microseconds.

        Raises:
            StorageFailed: the engine is away.
        """
        ...

    def snapshot(self) -> bytes:
        """What this process would have to fold anew after a start; reads and writes may go on meanwhile."""
        ...

    def restore(self, content: bytes) -> None:
        """Take up a :meth:`snapshot`, for the versions that are installed and in it; before the first write.

        Raises:
            InvalidInput: ``content`` is no snapshot.
        """
        ...

    def close(self) -> None:
        """Let go of the engine."""
        ...
