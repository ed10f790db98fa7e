"""Who asks for a change to a model: the person behind an API key, or the owner of the home folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from msgspec.structs import replace

from headset.core.errors import AccessDenied
from headset.events.schema import Actor
from headset.registry.waiver import IMPERSONAL

if TYPE_CHECKING:
    from headset.core.clock import Clock
    from headset.events.schema import AttemptRefused
    from headset.registry.journal import Journal
    from headset.serving.keys import ApiKeys, Scope

_CHANGING: frozenset[Scope] = frozenset({"approve", "admin"})


class People:
    """Tells who asks, and keeps on record whom it refused.

    Args:
        keys: Show who someone is.
        journal: Where refusals go.
        clock: Says which keys have expired.
    """

    def __init__(self, keys: ApiKeys, journal: Journal, clock: Clock) -> None:
        self._keys = keys
        self._journal = journal
        self._clock = clock

    def by_key(self, secret: str | None, scope: Scope, attempt: AttemptRefused) -> Actor:
        """The person behind a key that may do ``scope``.

        ``attempt`` is kept where the key was once made here: what strangers send does not fill the log.

        Raises:
            AccessDenied: the key is missing, unknown, expired, revoked, or lacks the scope.
        """
        known = self._keys.find(secret) if secret else None
        path = attempt.by.path
        by = Actor(known.person, path, known.key_id, known.created) if known else replace(attempt.by, person="unknown")
        try:
            self._keys.check(secret, scope)
        except AccessDenied as error:
            if known is not None or path == "cli":
                self._refuse(attempt, by, error)
            raise
        if by.person in IMPERSONAL and (people := self._with_keys()):
            self._need_person(attempt, by, people)
        return by

    def at_home(self, secret: str | None, scope: Scope, attempt: AttemptRefused) -> Actor:
        """The same for whoever uses the home folder itself: without a key its owner, until people have keys.

        Raises:
            AccessDenied: as above, or no key is given and people have keys here.
        """
        if secret:
            return self.by_key(secret, scope, attempt)
        owner = replace(attempt.by, person="owner")
        if people := self._with_keys():
            self._need_person(attempt, owner, people)
        return owner

    def _need_person(self, attempt: AttemptRefused, by: Actor, people: list[str]) -> NoReturn:
        error = AccessDenied(
            f"{', '.join(people)} may change models here, so {by.person!r} may not: say who you are with a key of your"
            " own (on the command line: --key, or the variable HEADSET_KEY)",
            known=True,
        )
        self._refuse(attempt, by, error)
        raise error

    def _with_keys(self) -> list[str]:
        now = self._clock.now()
        return sorted(
            {
                key.person
                for key in self._keys.list()
                if key.scopes & _CHANGING
                and key.revoked is None
                and (key.expires is None or key.expires > now)
                and key.person not in IMPERSONAL
            }
        )

    def _refuse(self, attempt: AttemptRefused, by: Actor, error: AccessDenied) -> None:
        self._journal.tell([replace(attempt, by=by, why=str(error))], source="registry")
