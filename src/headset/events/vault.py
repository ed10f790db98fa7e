"""The vault: every subject's texts are sealed under keys of their own, so that one deletion erases them everywhere.

Crypto-shredding: the log and its backups hold only ciphertext (AES-256-GCM, NIST SP 800-38D), bound to
the subject as associated data. The keys lie in one small database apart from the log, wrapped by a master
key. Destroying a subject's keys makes every copy of every text of theirs unreadable.

A new key is made durable before the first event sealed under it is acknowledged: the log calls
:meth:`Vault.flush` before each commit.
"""

from __future__ import annotations

import base64
import binascii
import os
import sqlite3
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headset.core.errors import StorageFailed, TextErased
from headset.events.schema import Sealed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KEY_BYTES = 32
_KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_SCHEMA = """
CREATE TABLE IF NOT EXISTS subject_keys (
    subject TEXT NOT NULL, key_id BLOB NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (subject, key_id)
) WITHOUT ROWID;
"""


class _Key(NamedTuple):
    key_id: bytes
    cipher: AESGCM


class Vault:
    """Seals and opens texts; keys are made when a subject first appears.

    Args:
        path: The key database.
        master: 32 bytes that wrap the subjects' keys; see :func:`load_master_key`.
        entropy: Source of key and nonce bytes; anything but the default is for tests.
        cache_size: Subjects whose keys are kept in memory.

    Raises:
        StorageFailed: the database cannot be opened or written.
    """

    def __init__(
        self, path: Path, master: bytes, *, entropy: Callable[[int], bytes] = os.urandom, cache_size: int = 65_536
    ) -> None:
        self._path = path
        self._wrapping = AESGCM(master)
        self._entropy = entropy
        self._cache_size = cache_size
        self._cache: OrderedDict[str, _Key] = OrderedDict()
        self._unsaved: dict[tuple[str, bytes], bytes] = {}
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise StorageFailed(f"the key store {path} cannot be opened ({error})") from error
        self._seen_version = self._version()

    def seal(self, subject: str, text: str) -> Sealed:
        """Encrypt ``text`` under the subject's key; equal texts give different results."""
        with self._lock:
            key = self._current_key(subject)
        nonce = self._entropy(_NONCE_BYTES)
        ciphertext = key.cipher.encrypt(nonce, text.encode(), subject.encode())
        return Sealed(base64.b64encode(key.key_id + nonce + ciphertext).decode())

    def open(self, subject: str, sealed: Sealed) -> str:
        """Decrypt what :meth:`seal` returned for the same subject.

        Raises:
            TextErased: the key was destroyed.
            StorageFailed: the ciphertext was altered, or belongs to another subject.
        """
        try:
            token = base64.b64decode(sealed, validate=True)
        except binascii.Error:
            raise StorageFailed(f"a sealed text of subject {subject!r} is damaged") from None
        key_id, nonce = token[:_KEY_ID_BYTES], token[_KEY_ID_BYTES : _KEY_ID_BYTES + _NONCE_BYTES]
        with self._lock:
            cipher = self._cipher(subject, key_id)
        try:
            return cipher.decrypt(nonce, token[_KEY_ID_BYTES + _NONCE_BYTES :], subject.encode()).decode()
        except (InvalidTag, ValueError):
            raise StorageFailed(f"a sealed text of subject {subject!r} does not match its key") from None

    def destroy(self, subject: str) -> bool:
        """Destroy all keys of ``subject`` for good; False when there were none.

        Deleted pages are overwritten and the write-ahead log is emptied, so no copy of a key stays on disk.
        """
        with self._lock:
            self.flush()
            self._cache.pop(subject, None)
            try:
                gone = self._connection.execute("DELETE FROM subject_keys WHERE subject = ?", (subject,)).rowcount
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:
                raise StorageFailed(f"the keys of {subject!r} could not be destroyed ({error}); try again") from error
        return gone > 0

    def flush(self) -> None:
        """Make all new keys durable, with one sync.

        Raises:
            StorageFailed: they could not be written; what is sealed under them must not be acknowledged.
        """
        with self._lock:
            if not self._unsaved:
                return
            rows = [(subject, key_id, wrapped) for (subject, key_id), wrapped in self._unsaved.items()]
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany("INSERT OR IGNORE INTO subject_keys VALUES (?, ?, ?)", rows)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise StorageFailed(f"new keys could not be kept in {self._path} ({error})") from error
            self._unsaved.clear()
            self._seen_version = self._version()

    def close(self) -> None:
        """Save new keys and release the database."""
        self.flush()
        self._connection.close()

    def _current_key(self, subject: str) -> _Key:
        self._forget_if_changed()
        key = self._cache.get(subject)
        if key is not None:
            self._cache.move_to_end(subject)
            return key
        found = self._select("SELECT key_id, wrapped FROM subject_keys WHERE subject = ? LIMIT 1", (subject,))
        return self._remember(subject, *found) if found else self._new_key(subject)

    def _new_key(self, subject: str) -> _Key:
        key_id, secret = self._entropy(_KEY_ID_BYTES), self._entropy(_KEY_BYTES)
        nonce = self._entropy(_NONCE_BYTES)
        wrapped = nonce + self._wrapping.encrypt(nonce, secret, subject.encode() + key_id)
        self._unsaved[subject, key_id] = wrapped
        return self._remember(subject, key_id, wrapped)

    def _cipher(self, subject: str, key_id: bytes) -> AESGCM:
        self._forget_if_changed()
        key = self._cache.get(subject)
        if key is not None and key.key_id == key_id:
            return key.cipher
        wrapped = self._unsaved.get((subject, key_id))
        if wrapped is None:
            found = self._select(
                "SELECT wrapped FROM subject_keys WHERE subject = ? AND key_id = ?", (subject, key_id)
            )
            if found is None:
                raise TextErased(f"the text of subject {subject!r} was erased; its key is destroyed")
            (wrapped,) = found
        return self._unwrap(subject, key_id, wrapped)

    def _remember(self, subject: str, key_id: bytes, wrapped: bytes) -> _Key:
        key = _Key(key_id, self._unwrap(subject, key_id, wrapped))
        self._cache[subject] = key
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return key

    def _unwrap(self, subject: str, key_id: bytes, wrapped: bytes) -> AESGCM:
        try:
            secret = self._wrapping.decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], subject.encode() + key_id
            )
        except InvalidTag:
            raise StorageFailed(
                f"the master key does not open {self._path}; start with the master key it was made with"
            ) from None
        return AESGCM(secret)

    def _forget_if_changed(self) -> None:
        """Another process wrote to the key store: a key held here may have been destroyed there."""
        version = self._version()
        if version != self._seen_version:
            self._seen_version = version
            unsaved = {subject for subject, _ in self._unsaved}
            for subject in [subject for subject in self._cache if subject not in unsaved]:
                del self._cache[subject]

    def _version(self) -> int:
        found = self._select("PRAGMA data_version", ())
        return int(found[0]) if found else 0

    def _select(self, query: str, arguments: tuple[str | bytes, ...]) -> tuple[bytes, ...] | None:
        try:
            row: tuple[bytes, ...] | None = self._connection.execute(query, arguments).fetchone()
        except sqlite3.Error as error:
            raise StorageFailed(f"the key store {self._path} cannot be read ({error})") from error
        return row


def load_master_key(path: Path, *, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """The 32 bytes at ``path``; made at first use, readable by the owner only.

    Raises:
        StorageFailed: the file holds something else; put the right key back.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        master = path.read_bytes()
        if len(master) != _KEY_BYTES:
            raise StorageFailed(f"{path} holds {len(master)} bytes, a master key has {_KEY_BYTES}") from None
        return master
    master = entropy(_KEY_BYTES)
    with os.fdopen(descriptor, "wb") as file:
        file.write(master)
        file.flush()
        os.fsync(file.fileno())
    return master
