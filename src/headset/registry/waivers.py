"""Asking for waivers, granting them as a second person, withdrawing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.core.errors import InvalidInput, NotFound
from headset.events.schema import WaiverGranted, WaiverRequested, WaiverWithdrawn
from headset.registry.waiver import WaiverReport, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from headset.events.schema import Actor
    from headset.registry.evidence import Case
    from headset.registry.journal import Journal


class Waivers:
    """The waivers of one installation; each change is refused or done, and on record either way.

    Args:
        journal: Where they are told.
        case: What is on record about a version.
    """

    def __init__(self, journal: Journal, case: Callable[[str, str], Case]) -> None:
        self._journal = journal
        self._case = case

    def request(self, model: str, version: str, gate: str, *, days: float, by: Actor, reason: str) -> WaiverReport:
        """Ask that a version may become champion without one gate of its newest validation.

        Raises:
            NotFound: there is no such version.
            Conflict: there is nothing to waive, the time is too long, or nobody asks for it.
        """
        with self._journal.attempt("waive", model, version, by, gate, reason):
            case = self._case(model, version)
            if gate not in case.needed:
                raise InvalidInput("gate", f"{gate[:40]!r} is not required; required are {', '.join(case.needed)}")
            asked = WaiverRequested(
                waiver_id=str(self._journal.new_id()),
                model=model,
                version=case.made.version,
                artifact_sha256=case.made.artifact_sha256,
                validation_id=case.validation.ended.validation_id if case.validation else "",
                gate=gate,
                days=days,
                by=by,
                reason=reason,
            )
            self._journal.judge(asked)
        return self.get(model, asked.waiver_id)

    def approve(self, model: str, waiver_id: str, *, by: Actor) -> WaiverReport:
        """Grant a waiver as the second person.

        Raises:
            Conflict: there is none such, it expired or is stale, or this person may not.
        """
        with self._journal.attempt("approve", model, "", by, waiver_id):
            self._journal.judge(WaiverGranted(waiver_id=waiver_id, model=model, by=by))
        return self.get(model, waiver_id)

    def withdraw(self, model: str, waiver_id: str, *, by: Actor, reason: str) -> WaiverReport:
        """End a waiver now; a promotion that it allowed stays.

        Raises:
            Conflict: there is none such, or it is withdrawn already.
        """
        with self._journal.attempt("withdraw", model, "", by, waiver_id, reason):
            self._journal.judge(WaiverWithdrawn(waiver_id=waiver_id, model=model, by=by, reason=reason))
        return self.get(model, waiver_id)

    def get(self, model: str, waiver_id: str) -> WaiverReport:
        """A waiver by its id.

        Raises:
            NotFound: there is none.
        """
        with self._journal.reading() as ledger:
            found = ledger.waivers.get(waiver_id)
            now = ledger.moment(self._journal.now())
        if found is None or found.request.model != model:
            raise NotFound("waiver", f"{model!r} has no waiver {waiver_id[:40]!r}; see 'headset audit'")
        return report(found, now)

    def of(self, model: str, version: str) -> list[WaiverReport]:
        """The waivers of a version's newest validation.

        Raises:
            NotFound: there is no such version.
        """
        case = self._case(model, version)
        with self._journal.reading() as ledger:
            return [report(waiver, case.now) for waiver in ledger.waivers_of(case.made)]
