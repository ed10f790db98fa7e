"""The follower: keeps an online store up to date with the log, and its state on disk.

Versions of views that are behind are brought up to date beside those that are current, so that a new definition is
folded from the whole log while the others go on serving. What the follower keeps on disk is sealed under a key of its
own; an erasure replaces that key, as it does the rows of the erased subject.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from headset.core.errors import HeadsetError, InvalidInput, StorageFailed
from headset.events.schema import SubjectErased
from headset.features.log_history import event_types, signals_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from headset.events.log import Log
    from headset.events.schema import Sealed
    from headset.events.vault import Vault
    from headset.features.definition import FeatureView
    from headset.features.signal import SignalReader
    from headset.features.store import OnlineStore

_BATCH = 1_000
_logger = logging.getLogger("headset.features")


class Snapshot:
    """A file that holds a store's state, sealed; written whole or not at all.

    Args:
        path: The file.
        vault: Seals it.
    """

    def __init__(self, path: Path, vault: Vault) -> None:
        self._path = path
        self._vault = vault
        self._subject = f"snapshot:{path.name}"

    def read(self) -> bytes | None:
        """What was written last; None where nothing usable is there."""
        try:
            return self._vault.open_bytes(self._subject, self._path.read_text("ascii"))  # type: ignore[arg-type]
        except FileNotFoundError:
            return None
        except (HeadsetError, OSError, ValueError) as error:
            _logger.warning("%s is of no use, the log is folded again: %s", self._path, error)
            return None

    def write(self, content: bytes) -> None:
        """Replace it.

        Raises:
            StorageFailed: the file cannot be written; the one before is still there.
        """
        sealed: Sealed = self._vault.seal_bytes(self._subject, content)
        self._vault.flush()
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.partial")
        try:
            with partial.open("w", encoding="ascii") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
        except OSError as error:
            raise StorageFailed(f"{self._path} cannot be written ({error}); free disk space") from error

    def forget(self) -> None:
        """Make every copy of it unreadable.

        Raises:
            StorageFailed: a copy of the key may be left; call it again.
        """
        self._path.unlink(missing_ok=True)
        self._vault.destroy(self._subject)


class Follower:
    """Folds the log into an online store. Any thread may call it; one works at a time.

    Args:
        log: Read from where the store stands.
        signals: Makes facts of events.
        store: Takes them.
        snapshot: Where the state is kept between runs; None keeps it in the store alone.
    """

    def __init__(self, log: Log, signals: SignalReader, store: OnlineStore, snapshot: Snapshot | None = None) -> None:
        self._log = log
        self._signals = signals
        self._store = store
        self._snapshot = snapshot
        self._views: dict[str, FeatureView] = {}
        self._turn = threading.Lock()
        self._clean_to: int | None = None
        self._saved: dict[str, int] = {}

    @property
    def position(self) -> int:
        """The log offset up to which every live version has heard of the log; 0 with none live."""
        return min(self._positions().values(), default=0)

    @property
    def furthest(self) -> int:
        """The log offset up to which some live version has heard of the log; 0 with none live."""
        return max(self._positions().values(), default=0)

    @property
    def lag(self) -> int:
        """Offsets between the log's head and :attr:`position`."""
        return max(0, self._log.head() - self.position) if self._views else 0

    def install(self, views: Sequence[FeatureView]) -> None:
        """Compute exactly these versions from now on; at the first call, resume from the snapshot.

        A view made of signals of another version than are computed here is left out: its values would be others.
        """
        computed = self._signals.versions.items()
        wanted = {view.version: view for view in views if view.signals.items() <= computed}
        with self._turn:
            if wanted.keys() == self._views.keys() and self._views:
                return
            first, self._views = not self._views, wanted
            self._store.install(list(wanted.values()))
            if first and self._snapshot is not None:
                self._resume(self._snapshot)

    def catch_up(self, until: int | None = None, progress: Callable[[float], object] = lambda _: None) -> int:
        """Fold in what was appended since last time, and all of the log for versions that are behind.

        Args:
            until: Log offset to stop at; the head unless given.
            progress: Called with the fraction that is done, 0 to 1.

        Returns:
            The number of events folded.

        Raises:
            StorageFailed: the log or the store failed; the next call goes on from where the store stands.
        """
        total, first = 0, self.position
        while self._views:
            with self._turn:
                head = self._log.head() if until is None else until
                read = self._advance(head)
                position = self.position
            total += read
            progress((position - first) / (head - first) if head > first else 1.0)
            if position >= head:
                break
        return total

    def save(self) -> None:
        """Keep the store's state on disk, where it has changed since the last time.

        Raises:
            StorageFailed: it cannot be written.
        """
        if self._snapshot is not None:
            with self._turn:
                positions = self._positions()
                if positions != self._saved:
                    self._snapshot.write(self._store.snapshot())
                    self._saved = positions

    def _resume(self, snapshot: Snapshot) -> None:
        content = snapshot.read()
        if content is None:
            return
        try:
            self._store.restore(content)
        except InvalidInput as error:
            _logger.warning("the snapshot of features is of no use, the log is folded again: %s", error)

    def _positions(self) -> dict[str, int]:
        return {version: at for version, at in self._store.positions().items() if version in self._views}

    def _advance(self, head: int) -> int:
        """One batch for the versions that are current, and one for those most behind."""
        positions, read = self._positions(), 0
        furthest = max(positions.values(), default=head)
        if self._clean_to is None:
            # What an empty store folds now was erased before; what a store held already may not be.
            self._clean_to = furthest or self._log.head()
        for position in sorted({furthest, min(positions.values(), default=head)}):
            versions = [version for version, at in positions.items() if at == position]
            if position < head:
                read += self._fold(position, head, versions, current=position == furthest)
        return read

    def _fold(self, position: int, head: int, versions: Sequence[str], *, current: bool) -> int:
        views = [self._views[version] for version in versions]
        limit = min(_BATCH, head - position)
        records = [
            one
            for one in self._log.read(position, limit, types=event_types(views) | {SubjectErased.__name__})
            if one.offset <= head
        ]
        facts = self._signals.facts(records, signals_of(views))
        reached = records[-1].offset if len(records) == limit else head
        erased = {
            record.event.subject
            for record in records
            if isinstance(record.event.payload, SubjectErased) and record.offset > (self._clean_to or 0)
        }
        if erased and current:
            self._erase(erased)  # first: should it fail, the next round comes by here again
        self._store.write(facts, reached, versions)
        return len(records)

    def _erase(self, subjects: set[str]) -> None:
        """Put the erased subjects' facts in anew: what was computed from their texts is gone from them."""
        records = [one for name in self._conversations(subjects) for one in self._log.conversation(name)]
        if records:
            self._store.rewrite(self._signals.facts(sorted(records, key=lambda one: one.offset)), list(self._views))
        if self._snapshot is not None:
            self._snapshot.forget()
            self._saved = {}

    def _conversations(self, subjects: set[str]) -> Iterator[str]:
        customers = set()
        for subject in subjects:
            kind, _, name = subject.partition(":")
            if kind == "conversation":
                yield name
            else:
                customers.add(subject)
        after = 0
        while customers and (records := self._log.read(after, _BATCH, types=("ConversationStarted",))):
            after = records[-1].offset
            for record in records:
                if record.event.subject in customers and record.event.conversation_id is not None:
                    yield record.event.conversation_id
