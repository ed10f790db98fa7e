"""The vault: every subject's texts are sealed under keys of their own, so that one deletion erases them everywhere.

Crypto-shredding: the log and its backups hold only ciphertext (AES-256-GCM, NIST SP 800-38D), bound to
the subject as associated data. The keys lie in one small database apart from the log, wrapped by a master
key. Destroying a subject's keys makes every copy of every text of theirs unreadable.

A new key is made durable before the first event sealed under it is acknowledged: the log calls
:meth:`Vault.flush` before each commit. Sealing goes on meanwhile: it has a connection of its own, and never
waits for the disk.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import sqlite3
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headset.core.errors import InvalidInput, StorageFailed, TextErased
from headset.events.schema import Sealed
from headset.events.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_KEY_BYTES = 32
_KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
_MASTER_CHECK = b"headset vault"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS subject_keys (
    subject TEXT NOT NULL, key_id BLOB NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (subject, key_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS master_check (id INTEGER PRIMARY KEY CHECK (id = 1), wrapped BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS destructions (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL);
INSERT OR IGNORE INTO destructions VALUES (1, 0);
"""


class _Key(NamedTuple):
    key_id: bytes
    cipher: AESGCM


class Vault:
    """Seals and opens texts; keys are made when a subject first appears.

    Any number of threads and processes may share one key database.

    Args:
        path: The key database.
        master: 32 bytes that wrap the subjects' keys; see :func:`load_master_key`.
        entropy: Source of key and nonce bytes; anything but the default is for tests and made-up texts.
        cache_size: Subjects whose keys are kept in memory.

    Raises:
        StorageFailed: the database cannot be opened or written, or was made with another master key.
    """

    def __init__(
        self, path: Path, master: bytes, *, entropy: Callable[[int], bytes] = os.urandom, cache_size: int = 65_536
    ) -> None:
        self._path = path
        self._wrapping = AESGCM(master)
        self._digest_key = hmac.digest(master, b"headset digest", "sha256")
        self._entropy = entropy
        self._cache_size = cache_size
        self._cache: OrderedDict[str, _Key] = OrderedDict()
        self._unsaved: dict[tuple[str, bytes], bytes] = {}
        self._lock = threading.RLock()  # cache, unsaved keys and the reading connection
        self._writing = threading.Lock()  # the writing connection; taken before _lock
        try:
            self._writer = _connect(path)
            self._writer.executescript(_SCHEMA)
            self._reader = _connect(path)
        except sqlite3.Error as error:
            raise StorageFailed(f"the key store {path} cannot be opened ({error})") from error
        self._check_master()
        self._version = self._data_version()
        self._destructions = self._count_destructions()

    def seal(self, subject: str, text: str) -> Sealed:
        """Encrypt ``text`` under the subject's key; equal texts give different results.

        Raises:
            InvalidInput: ``subject`` or ``text`` is not valid Unicode.
        """
        return self.seal_bytes(subject, _utf8("text", text))

    def seal_bytes(self, subject: str, plain: bytes) -> Sealed:
        """The same for content that is no text, such as an embedding."""
        bound = _utf8("subject", subject)
        with self._lock:
            key = self._current_key(subject)
        nonce = self._entropy(_NONCE_BYTES)
        return Sealed(base64.b64encode(key.key_id + nonce + key.cipher.encrypt(nonce, plain, bound)).decode())

    def open(self, subject: str, sealed: Sealed) -> str:
        """Decrypt what :meth:`seal` returned for the same subject.

        Raises:
            TextErased: the key was destroyed, or never was this subject's.
            StorageFailed: the ciphertext was altered.
        """
        try:
            return self.open_bytes(subject, sealed).decode()
        except UnicodeDecodeError:
            raise StorageFailed(_damaged(subject)) from None

    def open_bytes(self, subject: str, sealed: Sealed) -> bytes:
        """The same for what :meth:`seal_bytes` returned."""
        bound, damaged = _utf8("subject", subject), _damaged(subject)
        try:
            token = base64.b64decode(sealed, validate=True)
        except ValueError:
            raise StorageFailed(damaged) from None
        if len(token) < _KEY_ID_BYTES + _NONCE_BYTES + _TAG_BYTES:
            raise StorageFailed(damaged)
        key_id, nonce = token[:_KEY_ID_BYTES], token[_KEY_ID_BYTES : _KEY_ID_BYTES + _NONCE_BYTES]
        with self._lock:
            cipher = self._cipher(subject, key_id)
        try:
            return cipher.decrypt(nonce, token[_KEY_ID_BYTES + _NONCE_BYTES :], bound)
        except InvalidTag:
            raise StorageFailed(damaged) from None

    def digest(self, *parts: str) -> str:
        """64 hexadecimal digits that tell texts apart and, without the master key, say nothing about them (HMAC)."""
        mac = hmac.new(self._digest_key, digestmod=hashlib.sha256)
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass")
            mac.update(len(encoded).to_bytes(8, "big") + encoded)
        return mac.hexdigest()

    def destroy(self, subject: str) -> bool:
        """Destroy all keys of ``subject`` for good; False when there were none.

        Deleted keys are overwritten and the write-ahead log is emptied, so no copy stays in the store's
        files. Other processes notice before they next seal or open.

        Raises:
            StorageFailed: a copy may be left on disk; call it again.
        """
        with self._writing:
            with self._lock:
                unsaved = [key for key in self._unsaved if key[0] == subject]
                for key in unsaved:
                    del self._unsaved[key]
            try:
                with Transaction(self._writer):
                    deleted = self._writer.execute("DELETE FROM subject_keys WHERE subject = ?", (subject,)).rowcount
                    self._writer.execute("UPDATE destructions SET count = count + 1")
                busy = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.Error as error:
                raise StorageFailed(f"the keys of {subject!r} could not be destroyed ({error}); try again") from error
            if busy:
                raise StorageFailed(f"a copy of the keys of {subject!r} is in use by a reader; try again")
        return deleted + len(unsaved) > 0

    def flush(self) -> None:
        """Make all new keys durable, with one sync.

        Raises:
            StorageFailed: they could not be written; what is sealed under them must not be acknowledged.
        """
        if not self._unsaved:
            return
        with self._writing:
            with self._lock:
                saved = dict(self._unsaved)
            rows = [(subject, key_id, wrapped) for (subject, key_id), wrapped in saved.items()]
            try:
                with Transaction(self._writer):
                    self._writer.executemany("INSERT OR IGNORE INTO subject_keys VALUES (?, ?, ?)", rows)
            except sqlite3.Error as error:
                raise StorageFailed(f"new keys could not be kept in {self._path} ({error})") from error
            with self._lock:
                for key in saved:
                    self._unsaved.pop(key, None)

    def close(self) -> None:
        """Save new keys and release the database."""
        self.flush()
        self._reader.close()
        self._writer.close()

    # -- keys; the caller holds the lock -------------------------------------------------------

    def _current_key(self, subject: str) -> _Key:
        self._forget_destroyed()
        key = self._cache.get(subject)
        if key is not None:
            self._cache.move_to_end(subject)
            return key
        found = self._select("SELECT key_id, wrapped FROM subject_keys WHERE subject = ? LIMIT 1", (subject,))
        if found is None:
            return self._new_key(subject)
        return self._remember(subject, _Key(found[0], self._unwrap(subject, *found)))

    def _new_key(self, subject: str) -> _Key:
        key_id, secret = self._entropy(_KEY_ID_BYTES), self._entropy(_KEY_BYTES)
        self._unsaved[subject, key_id] = self._wrap(secret, subject.encode() + key_id)
        return self._remember(subject, _Key(key_id, AESGCM(secret)))

    def _cipher(self, subject: str, key_id: bytes) -> AESGCM:
        self._forget_destroyed()
        key = self._cache.get(subject)
        if key is not None and key.key_id == key_id:
            return key.cipher
        wrapped = self._unsaved.get((subject, key_id))
        if wrapped is None:
            found = self._select("SELECT wrapped FROM subject_keys WHERE subject = ? AND key_id = ?", (subject, key_id))
            if found is None:
                raise TextErased(f"the text of subject {subject!r} was erased; its key is destroyed")
            (wrapped,) = found
        cipher = self._unwrap(subject, key_id, wrapped)
        return self._remember(subject, _Key(key_id, cipher)).cipher if key is None else cipher

    def _remember(self, subject: str, key: _Key) -> _Key:
        self._cache[subject] = key
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return key

    def _wrap(self, secret: bytes, bound: bytes) -> bytes:
        nonce = self._entropy(_NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, secret, bound)

    def _unwrap(self, subject: str, key_id: bytes, wrapped: bytes) -> AESGCM:
        bound = subject.encode() + key_id
        try:
            return AESGCM(self._wrapping.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], bound))
        except InvalidTag:
            raise StorageFailed(f"a key of {subject!r} in {self._path} is damaged; restore it from a backup") from None

    def _check_master(self) -> None:
        """Refuse a master key that cannot open what is there, before it wraps anything new."""
        try:
            self._writer.execute(
                "INSERT OR IGNORE INTO master_check VALUES (1, ?)", (self._wrap(bytes(_KEY_BYTES), _MASTER_CHECK),)
            )
        except sqlite3.Error as error:
            raise StorageFailed(f"the key store {self._path} cannot be written ({error})") from error
        (wrapped,) = self._select("SELECT wrapped FROM master_check", ()) or (b"",)
        try:
            self._wrapping.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _MASTER_CHECK)
        except (InvalidTag, ValueError):
            self._reader.close()
            self._writer.close()
            raise StorageFailed(
                f"the master key does not open {self._path}; start with the master key it was made with"
            ) from None

    def _forget_destroyed(self) -> None:
        """Drop all keys held in memory when any was destroyed since last time, here or in another process.

        ``data_version`` says in 2 µs that nobody wrote; only otherwise the count of destructions is read.
        """
        version = self._data_version()
        if version == self._version:
            return
        self._version = version
        destructions = self._count_destructions()
        if destructions != self._destructions:
            self._destructions = destructions
            self._cache.clear()

    def _data_version(self) -> object:
        return self._select("PRAGMA data_version", ())

    def _count_destructions(self) -> object:
        return self._select("SELECT count FROM destructions", ())

    def _select(self, query: str, arguments: tuple[str | bytes, ...]) -> tuple[bytes, ...] | None:
        try:
            row: tuple[bytes, ...] | None = self._reader.execute(query, arguments).fetchone()
        except sqlite3.Error as error:
            raise StorageFailed(f"the key store {self._path} cannot be read ({error})") from error
        return row


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    return connection


def _damaged(subject: str) -> str:
    return f"a sealed text of subject {subject!r} is damaged"


def _utf8(field: str, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(field, f"has half a character pair at position {error.start}; send valid Unicode") from None


def load_master_key(path: Path, *, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """The 32 bytes at ``path``; made at first use, readable by the owner only.

    Processes that start together get the same key, and a crash leaves a whole key or none.

    Raises:
        StorageFailed: the file holds something else or cannot be read; put the right key back.
    """
    try:
        if not path.exists():
            _make_master_key(path, entropy)
        master = path.read_bytes()
    except OSError as error:
        raise StorageFailed(f"the master key {path} cannot be read ({error}); put the right key back") from error
    if len(master) != _KEY_BYTES:
        raise StorageFailed(f"{path} holds {len(master)} bytes, a master key has {_KEY_BYTES}; put the right key back")
    return master


def _make_master_key(path: Path, entropy: Callable[[int], bytes]) -> None:
    partial = path.with_name(f"{path.name}.{entropy(_KEY_ID_BYTES).hex()}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(entropy(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, path)
        except FileExistsError:
            pass  # another process was first; its key counts
        finally:
            partial.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageFailed(f"the master key {path} cannot be made ({error})") from error
