"""API keys: made once, shown once, kept only as hashes.

A key is 256 random bits, so a plain SHA-256 of it cannot be guessed back; slow password hashes are for
secrets that people choose.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
import threading
from typing import TYPE_CHECKING, Literal, get_args

from msgspec import Struct

from headset.core.clock import MICROSECONDS, iso
from headset.core.errors import AccessDenied, InvalidInput, NotFound, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from headset.core.clock import Clock

Scope = Literal["decide", "feedback", "read", "approve", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_REFRESH_EVERY_S = 0.1
_CHANGED = -1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS api_keys (
    key_id TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL UNIQUE, scopes TEXT NOT NULL,
    created INTEGER NOT NULL, expires INTEGER, revoked INTEGER, person TEXT NOT NULL DEFAULT ''
);
"""


class ApiKey(Struct, frozen=True):
    """What is known of a key; never the key itself. Times in microseconds since the epoch.

    ``person`` is whose it is: keys of one person count as one where two people are asked for.
    """

    key_id: str
    name: str
    scopes: frozenset[Scope]
    created: int
    expires: int | None = None
    revoked: int | None = None
    person: str = ""


class ApiKeys:
    """The keys of one installation, in the SQLite file ``path``.

    Raises:
        StorageFailed: the file cannot be opened.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, ApiKey] = {}
        self._version = _CHANGED
        self._refresh_at = 0.0
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            path.chmod(0o600)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.executescript(_SCHEMA)
            if "person" not in {row[1] for row in self._connection.execute("PRAGMA table_info(api_keys)")}:
                self._connection.execute("ALTER TABLE api_keys ADD COLUMN person TEXT NOT NULL DEFAULT ''")
        except sqlite3.Error as error:
            raise StorageFailed(f"the API key store {path} cannot be opened ({error})") from error

    def create(
        self, name: str, scopes: Collection[str], *, valid_s: float | None = None, person: str = ""
    ) -> tuple[str, ApiKey]:
        """Make a key and return it with its description; it cannot be read again. It is ``person``'s, or ``name``'s.

        Raises:
            InvalidInput: the name is empty, a scope is unknown, or the validity is not positive.
        """
        granted = _scopes(scopes)
        if not name.strip():
            raise InvalidInput("name", "is empty; say who or what will use the key")
        if valid_s is not None and valid_s <= 0:
            raise InvalidInput("valid_s", f"is {valid_s}; a key must be valid for more than 0 seconds")
        now = self._clock.now()
        expires = None if valid_s is None else now + round(valid_s * MICROSECONDS)
        secret = f"hs_{secrets.token_urlsafe(32)}"
        key = ApiKey(secrets.token_hex(4), name, granted, now, expires, person=person.strip() or name)
        with self._lock:
            self._connection.execute(
                "INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, NULL, ?)",
                (key.key_id, name, _digest(secret), ",".join(sorted(granted)), now, expires, key.person),
            )
            self._version = _CHANGED
        return secret, key

    def check(self, secret: str | None, scope: Scope) -> ApiKey:
        """The key behind ``secret``, if it may do ``scope``.

        Raises:
            AccessDenied: it is missing, unknown, expired, revoked, or lacks the scope.
        """
        if not secret:
            raise AccessDenied("no API key; send 'Authorization: Bearer KEY' (make one with 'headset keys create')")
        key = self.find(secret)
        if key is None:
            raise AccessDenied("the API key is unknown; make one with 'headset keys create'")
        if key.revoked is not None:
            raise AccessDenied(f"the API key {key.key_id} was revoked at {iso(key.revoked)}; use another")
        if key.expires is not None and key.expires <= self._clock.now():
            raise AccessDenied(f"the API key {key.key_id} expired at {iso(key.expires)}; make a new one")
        if scope not in key.scopes and "admin" not in key.scopes:
            held = ", ".join(sorted(key.scopes))
            raise AccessDenied(f"the API key {key.key_id} may {held}, this needs the scope {scope}", known=True)
        return key

    def find(self, secret: str) -> ApiKey | None:
        """What is known of the key behind ``secret``, in force or not; None for one that never was."""
        with self._lock:
            self._refresh()
            return self._keys.get(_digest(secret))

    def revoke(self, key_id: str) -> None:
        """Make a key worthless: here at once, in other processes within a tenth of a second.

        Raises:
            NotFound: no key has this id.
        """
        with self._lock:
            changed = self._connection.execute(
                "UPDATE api_keys SET revoked = ? WHERE key_id = ? AND revoked IS NULL", (self._clock.now(), key_id)
            ).rowcount
            self._version = _CHANGED
        if not changed:
            raise NotFound("key_id", f"{key_id[:40]!r} is no key in force; see 'headset keys list'")

    def list(self) -> list[ApiKey]:
        """All keys, oldest first."""
        with self._lock:
            self._refresh()
            return sorted(self._keys.values(), key=lambda key: (key.created, key.key_id))

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def _refresh(self) -> None:
        """Take in what this or another process changed; looked for ten times a second, at most."""
        now = self._clock.monotonic()
        if self._version != _CHANGED and now < self._refresh_at:
            return
        self._refresh_at = now + _REFRESH_EVERY_S
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return
        rows = self._connection.execute(
            "SELECT digest, key_id, name, scopes, created, expires, revoked, person FROM api_keys"
        ).fetchall()
        self._keys = {
            digest: ApiKey(key_id, name, _scopes(scopes.split(",")), created, expires, revoked, person or name)
            for digest, key_id, name, scopes, created, expires, revoked, person in rows
        }
        self._version = version


def development_key(keys: ApiKeys, path: Path) -> str:
    """The key for trying things on this machine, at ``path`` (owner only); made when missing or refused.

    It may do everything, so it is made only where the server listens on loopback.
    """
    try:
        if path.exists():
            secret = path.read_bytes().decode("utf-8", "replace").strip()
            with contextlib.suppress(AccessDenied):
                keys.check(secret, "admin")
                return secret
            path.unlink()
        secret, _ = keys.create("development", ["admin"])
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
    except OSError as error:
        raise StorageFailed(f"{path} cannot be used ({error.strerror}); remove it, it is made again") from error
    return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _scopes(names: Collection[str]) -> frozenset[Scope]:
    unknown = sorted(set(names) - set(SCOPES))
    if unknown or not names:
        raise InvalidInput("scopes", f"{', '.join(unknown) or 'none'} given; choose from {', '.join(SCOPES)}")
    return frozenset(scope for scope in SCOPES if scope in names)
