"""The model registry: versions, aliases and their evidence, folded from the log; artifacts are folders beside it.

A version is registered once and never changes. What serves is whatever the alias ``champion`` points at, and that
moves only for evidence on record (:mod:`headset.registry.evidence`). The fold is made in memory: there is no file
that could say otherwise.
"""

from __future__ import annotations

import math
import shutil
from itertools import count
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from headset.core.clock import iso
from headset.core.errors import InvalidInput, NotFound, StorageFailed
from headset.core.ids import stable_id
from headset.events.schema import Actor, Event, GateEvaluated, GateResult, ModelRegistered, Promoted, ValidationEnded
from headset.registry.artifact import check_recorded, read_sealed, verify_folder
from headset.registry.card import decode_card, encode_card, make_card
from headset.registry.evidence import CHAMPION, Policy, evidence_of, objections
from headset.registry.journal import Journal
from headset.registry.ledger import ALIASES
from headset.registry.waivers import Waivers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from headset.core.clock import Clock
    from headset.core.ids import Ids
    from headset.events.log import Log
    from headset.registry.card import ModelCard
    from headset.registry.evidence import Case
    from headset.registry.ledger import AuditEntry, Ledger
    from headset.registry.seal import Seal

SHIPPED_POLICY = Policy()
NOBODY = Actor(person="nobody")


class ModelVersion(Struct, frozen=True):
    """A registered version: how it was made, how good it was, and how it stands now.

    Attributes:
        aliases: Those that point at it.
        results: Of the gates of its newest validation.
        obstacles: Why it may not become champion now, each in a sentence; empty where it may.
    """

    model: str
    version: str
    registered: str
    aliases: list[str]
    made: ModelRegistered
    results: dict[str, GateResult] = {}
    obstacles: list[str] = []


class Registry:
    """Reads and extends the registry of one installation; threads may share it.

    Args:
        log: Where everything is told.
        models: Folder of the artifacts: ``<models>/<model>/<version>/``.
        seal: Of this installation.
        policy: What a champion must hold.

    Attributes:
        journal: What is on record of models.
        waivers: Those of its versions.
    """

    def __init__(
        self, log: Log, models: Path, clock: Clock, ids: Ids, seal: Seal, policy: Policy = SHIPPED_POLICY
    ) -> None:
        self._log = log
        self._models = models
        self._clock = clock
        self._ids = ids
        self._policy = policy
        self.journal = Journal(log, clock, ids, seal)
        self.waivers = Waivers(self.journal, self.case)

    # -- versions ------------------------------------------------------------------------------

    def register(self, made: ModelRegistered, artifact: Path) -> ModelVersion:
        """Take a copy of the folder ``artifact`` in as the next version; ``made.version`` is filled in here.

        Any number of trainings may register at once: each gets a version of its own. A number whose folder is
        there is never given again, also when a crash kept it from being registered.

        Raises:
            InvalidInput: a metric is not a finite number.
            StorageFailed: the files or the event could not be kept; nothing was registered.
        """
        _check_finite("metrics", made.metrics)
        taken = [int(known.version) for known in self.versions(made.model)]
        folder = self._models / made.model
        partial = folder / f".{self._ids.new()}.partial"
        try:
            shutil.copytree(artifact, partial)
            version = self._number(made, partial, first=max(taken, default=0) + 1)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise StorageFailed(
                f"the artifact could not be kept in {folder} ({error}); nothing was registered"
            ) from error
        return self.get(made.model, version)

    def versions(self, model: str | None = None) -> list[ModelVersion]:
        """All versions, newest first, of one model or of all.

        Raises:
            StorageFailed: the log cannot be read.
        """
        now = self._clock.now()
        with self.journal.reading() as ledger:
            known = [
                self._told(ledger, *each, now) for each in ledger.versions.values() if model in {None, each[1].model}
            ]
        return sorted(known, key=lambda each: (each.model, -int(each.version)))

    def get(self, model: str, version: str) -> ModelVersion:
        """One version, by number or alias.

        Raises:
            NotFound: there is none; the message lists what there is.
        """
        now = self._clock.now()
        with self.journal.reading() as ledger:
            found = ledger.versions.get((model, ledger.aliases.get((model, version), version)))
            if found is not None:
                return self._told(ledger, *found, now)
            numbers = sorted((int(number) for name, number in ledger.versions if name == model), reverse=True)
        there = ", ".join(map(str, numbers)) or "none; train one with 'headset train'"
        raise NotFound("version", f"{model!r} has no version {version!r}; versions: {there}")

    def champion(self, model: str) -> ModelVersion | None:
        """The version that serves, if any."""
        with self.journal.reading() as ledger:
            version = ledger.champion(model)
        return self.get(model, version) if version else None

    def artifact(self, model: str, version: str) -> Path:
        """Folder of a version's files."""
        place = self._models / model / version
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    # -- evidence ------------------------------------------------------------------------------

    def tell_validation(self, gates: Sequence[GateEvaluated], ended: ValidationEnded) -> None:
        """Keep what gates found of a version, together and sealed.

        Raises:
            NotFound: there is no such version.
            InvalidInput: a gate is of another validation, version or artifact, or its evidence is no finite number.
            StorageFailed: it could not be kept.
        """
        self.get(ended.model, ended.version)
        of = (ended.validation_id, ended.model, ended.version, ended.artifact_sha256)
        for gate in gates:
            if (gate.validation_id, gate.model, gate.version, gate.artifact_sha256) != of:
                raise InvalidInput(f"gates.{gate.gate}", "names another validation, version or artifact than its end")
            _check_finite(f"gates.{gate.gate}.evidence", gate.evidence)
        self.journal.tell([*gates, ended], source="validate")

    def case(self, model: str, version: str) -> Case:
        """What is on record about making a version champion now.

        Raises:
            NotFound: there is no such version.
        """
        known, now = self.get(model, version), self.journal.now()
        with self.journal.reading() as ledger:
            return self._case(ledger, known.made, now)

    def card(self, model: str, version: str) -> ModelCard:
        """The card a version got when it became champion; a draft where it never did.

        Raises:
            NotFound: there is no such version.
            ArtifactError: another version of Headset wrote it.
        """
        known = self.get(model, version)
        with self.journal.reading() as ledger:
            crowned = ledger.crowned.get((model, known.version))
        if crowned is not None:
            return decode_card(crowned.card)
        return self.card_now(model, known.version)

    def card_now(self, model: str, version: str) -> ModelCard:
        """The card a version would get now, as a draft.

        Raises:
            NotFound: there is no such version.
        """
        case, waivers = self.case(model, version), self.waivers.of(model, version)
        return make_card(case, waivers, by=NOBODY, reason="", evidence="", when=None)

    def audit(self, model: str | None = None) -> list[AuditEntry]:
        """All that was done to models and all that was refused, oldest first, of one model or of all."""
        with self.journal.reading() as ledger:
            return [entry for entry in ledger.audit if model in {None, entry.model}]

    # -- changes; each is refused or done, and on record either way ----------------------------

    def promote(self, model: str, version: str, alias: str = CHAMPION, *, by: Actor, reason: str) -> ModelVersion:
        """Point ``alias`` at a version; ``champion`` only if the evidence on record allows it.

        Raises:
            NotFound: there is no such version.
            Conflict: the rule refuses; the message says what is missing.
            ArtifactError: the version's files are not those that were registered.
        """
        with self.journal.attempt("promote", model, version, by, alias, reason):
            known = self.get(model, version)
            promoted = Promoted(
                model=model,
                version=known.version,
                alias=alias,
                evidence="",
                artifact_sha256=known.made.artifact_sha256,
                by=by,
                reason=reason,
            )
            self.journal.judge(promoted if alias != CHAMPION else self._crowning(promoted, known))
        return self.get(model, known.version)

    def rollback(self, model: str, version: str | None = None, *, by: Actor, reason: str) -> ModelVersion:
        """Make a version champion again that was it before, without new evidence; the last one unless told otherwise.

        Raises:
            NotFound: there is no such version, or none to go back to.
            Conflict: it was never champion, or was itself rolled back.
            ArtifactError: the version's files are not those that were registered.
        """
        with self.journal.attempt("rollback", model, version or "", by, CHAMPION, reason):
            with self.journal.reading() as ledger:
                reigning, previous = ledger.champion(model), ledger.previous(model)
            if not (version or previous):
                raise NotFound("version", f"{model!r} has no earlier champion to go back to; see 'headset models list'")
            known = self.get(model, version or previous)
            _check_files(self.artifact(model, known.version), known.made.artifact_sha256)
            self.journal.judge(
                Promoted(
                    model=model, version=known.version, alias=CHAMPION, action="rollback", by=by, reason=reason,
                    evidence="it was champion before", artifact_sha256=known.made.artifact_sha256, replaces=reigning,
                )
            )  # fmt: skip
        return self.get(model, known.version)

    # -- within --------------------------------------------------------------------------------

    def _case(self, ledger: Ledger, made: ModelRegistered, now: int) -> Case:
        policy = self._policy
        return ledger.case(
            made, ledger.moment(now), policy.required_of(made), policy.valid_days, policy.limits_of(made)
        )

    def _told(self, ledger: Ledger, registered: int, made: ModelRegistered, now: int) -> ModelVersion:
        case = self._case(ledger, made, now)
        return ModelVersion(
            model=made.model,
            version=made.version,
            registered=iso(registered),
            aliases=[alias for alias in ALIASES if ledger.aliases.get((made.model, alias)) == made.version],
            made=made,
            results=case.validation.ended.results if case.validation else {},
            obstacles=objections(case),
        )

    def _crowning(self, asked: Promoted, known: ModelVersion) -> Promoted:
        """The promotion of a champion, with its evidence and its card."""
        _check_files(self.artifact(known.model, known.version), known.made.artifact_sha256)
        case = self.case(known.model, known.version)
        evidence = evidence_of(case)
        waivers = self.waivers.of(known.model, known.version)
        card = make_card(case, waivers, by=asked.by, reason=asked.reason, evidence=evidence, when=case.now.told)
        return replace(
            asked,
            evidence=evidence,
            validation_id=case.validation.ended.validation_id if case.validation else "",
            replaces=case.reigning,
            required=case.required,
            valid_days=case.valid_days,
            limits=case.limits,
            card=encode_card(card),
        )

    def _number(self, made: ModelRegistered, partial: Path, *, first: int) -> str:
        """Register ``made`` and the folder ``partial`` under the first number that is free."""
        numbers = count(first)
        while True:
            version = str(next(numbers))
            place = partial.with_name(version)
            if not _claim(place):
                continue
            partial.rename(place)  # takes the place of the empty folder, at once
            if self._is_ours(replace(made, version=version)):
                return version
            place.rename(partial)  # a registry with another folder of artifacts has this number

    def _is_ours(self, made: ModelRegistered) -> bool:
        """Append the event; False when the log says already that this version is another."""
        event = Event(
            event_id=_id_of(made),
            event_time=self._clock.now(),
            subject=f"model:{made.model}",
            source="train",
            payload=made,
        )
        self._log.append([event])
        record = self._log.get(event.event_id)
        return record is not None and record.event.payload == made


def _check_files(folder: Path, sha256: str) -> None:
    """Refuse a version whose files are not, byte for byte, those that were registered."""
    check_recorded(folder, sha256)
    verify_folder(folder, read_sealed(folder).sha256)


def _id_of(made: ModelRegistered) -> UUID:
    return stable_id("model", made.model, made.version)


def _claim(place: Path) -> bool:
    """Make the folder ``place``; False when it is there."""
    try:
        place.mkdir()
    except FileExistsError:
        return False
    return True


def _check_finite(field: str, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise InvalidInput(f"{field}.{name}", f"is {value}; leave out what could not be measured")
