"""API keys: kept as hashes, made once, and worthless when expired or revoked."""

from __future__ import annotations

import stat

import pytest

from headset.core.clock import ManualClock
from headset.core.errors import AccessDenied, InvalidInput, NotFound
from headset.serving.keys import ApiKeys, development_key


@pytest.fixture
def clock():
    return ManualClock(1_700_000_000_000_000)


@pytest.fixture
def keys(tmp_path, clock):
    opened = ApiKeys(tmp_path / "api.db", clock)
    yield opened
    opened.close()


def test_the_secret_is_not_on_the_disk(keys, tmp_path):
    secret, _ = keys.create("desk", ["feedback"])
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_key_ends_when_it_expires(keys, clock):
    secret, _ = keys.create("desk", ["feedback"], valid_s=60)
    assert keys.check(secret, "feedback").name == "desk"
    clock.advance(61)
    with pytest.raises(AccessDenied, match="expired"):
        keys.check(secret, "feedback")


def test_a_key_revoked_elsewhere_is_worthless_here(keys, tmp_path, clock):
    secret, made = keys.create("desk", ["feedback"])
    keys.check(secret, "feedback")
    elsewhere = ApiKeys(tmp_path / "api.db", clock)
    elsewhere.revoke(made.key_id)
    elsewhere.close()
    clock.advance(0.1)
    with pytest.raises(AccessDenied, match="revoked"):
        keys.check(secret, "feedback")


@pytest.mark.parametrize(
    ("name", "scopes", "valid_s"), [("", ["read"], 1), ("x", [], 1), ("x", ["fly"], 1), ("x", ["read"], 0)]
)
def test_a_senseless_key_is_not_made(keys, name, scopes, valid_s):
    with pytest.raises(InvalidInput):
        keys.create(name, scopes, valid_s=valid_s)


def test_revoking_what_is_not_there_is_told(keys):
    with pytest.raises(NotFound):
        keys.revoke("nothing")


def test_the_development_key_is_the_owners_and_is_replaced_when_revoked(keys, tmp_path):
    path = tmp_path / "development.key"
    first = development_key(keys, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert development_key(keys, path) == first
    keys.revoke(keys.check(first, "admin").key_id)
    assert development_key(keys, path) != first


def test_a_key_is_its_persons(keys):
    _, laptop = keys.create("ann-laptop", ["approve"], person="ann")
    _, own = keys.create("bob", ["read"])
    assert (laptop.person, own.person) == ("ann", "bob")
    assert {key.person for key in keys.list()} == {"ann", "bob"}
