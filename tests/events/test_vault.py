from __future__ import annotations

import base64
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headset.core.errors import InvalidInput, StorageFailed, TextErased
from headset.events.vault import Vault, load_master_key

MASTER = bytes(range(32))


@pytest.fixture
def open_vault(tmp_path):
    vaults = []

    def open_vault(master=MASTER, **options):
        vaults.append(Vault(tmp_path / "vault.db", master, **options))
        return vaults[-1]

    yield open_vault
    for vault in vaults:
        vault.close()


@pytest.fixture
def vault(open_vault):
    return open_vault()


def on_disk(folder):
    """Every byte of the key store's files but the index of its write-ahead log, which holds no content."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.endswith("-shm"))


def test_any_text_comes_back(vault):
    @settings(max_examples=100, deadline=None)
    @given(st.text(), st.text())
    def holds(subject, text):
        sealed = vault.seal(subject, text)
        assert vault.open(subject, sealed) == text
        assert text not in sealed or len(text) < 5

    holds()


def test_equal_texts_are_sealed_differently(vault):
    assert vault.seal("ana", "hello") != vault.seal("ana", "hello")


def test_texts_open_after_reopening_when_flushed(open_vault):
    first = open_vault()
    sealed = first.seal("ana", "hello")
    first.flush()
    assert open_vault().open("ana", sealed) == "hello"


def test_a_sealed_text_belongs_to_its_subject(vault):
    sealed = vault.seal("ana", "hello")
    vault.seal("bob", "hi")
    with pytest.raises(TextErased):
        vault.open("bob", sealed)
    key_of_bob = base64.b64decode(vault.seal("bob", "hi"))[:8]
    forged = base64.b64encode(key_of_bob + base64.b64decode(sealed)[8:]).decode()
    with pytest.raises(StorageFailed, match="damaged"):
        vault.open("bob", forged)


@pytest.mark.parametrize("position", [8, 19, 20, 30, -1])
def test_an_altered_text_is_refused(vault, position):
    token = bytearray(base64.b64decode(vault.seal("ana", "hello, this is ana")))
    token[position] ^= 1
    with pytest.raises(StorageFailed, match="damaged"):
        vault.open("ana", base64.b64encode(token).decode())


@pytest.mark.parametrize("sealed", ["", "é", "not base64!", "AAAA", "A" * 40])
def test_what_was_never_sealed_is_refused(vault, sealed):
    with pytest.raises(StorageFailed, match="damaged"):
        vault.open("ana", sealed)


def test_half_characters_are_the_callers_fault(vault):
    with pytest.raises(InvalidInput, match="subject"):
        vault.seal("\ud800", "text")
    with pytest.raises(InvalidInput, match="text"):
        vault.seal("ana", "\ud800")


def test_destroying_a_key_erases_its_texts_and_no_others(vault):
    saved, other = vault.seal("ana", "hello"), vault.seal("bob", "hi")
    vault.flush()
    assert vault.destroy("ana")
    assert not vault.destroy("ana")
    with pytest.raises(TextErased, match="destroyed"):
        vault.open("ana", saved)
    assert vault.open("bob", other) == "hi"
    again = vault.seal("ana", "back")
    assert vault.open("ana", again) == "back"
    with pytest.raises(TextErased):
        vault.open("ana", saved)


def test_a_key_destroyed_before_it_was_saved_never_reaches_the_disk(vault, tmp_path):
    sealed = vault.seal("ana", "hello")
    assert vault.destroy("ana")
    vault.flush()
    assert sealed
    assert b"ana" not in on_disk(tmp_path)
    with pytest.raises(TextErased):
        vault.open("ana", sealed)


def test_destroyed_keys_leave_no_byte_on_disk(open_vault, tmp_path):
    vault, random = open_vault(), Random(5)
    subjects = [f"{random.getrandbits(128):032x}" for _ in range(1_500)]
    for start in range(0, len(subjects), 50):
        for subject in subjects[start : start + 50]:
            vault.seal(subject, "text")
        vault.flush()
    wrapped = {subject: vault._select("SELECT wrapped FROM subject_keys WHERE subject = ?", (subject,))[0]
               for subject in subjects}  # fmt: skip
    doomed = random.sample(subjects, 100)
    assert all(vault.destroy(subject) for subject in doomed)
    content = on_disk(tmp_path)
    for subject in subjects:
        pieces = [wrapped[subject][start : start + 12] for start in range(0, 60, 12)]
        assert all((piece in content) == (subject not in doomed) for piece in pieces)


def test_a_key_destroyed_by_another_process_is_noticed_at_once(vault, tmp_path):
    sealed = vault.seal("ana", "hello")
    vault.flush()
    assert vault.open("ana", sealed) == "hello"
    code = "import sys, pathlib; from headset.events.vault import Vault; v = Vault(pathlib.Path(sys.argv[1]), "
    code += "bytes(range(32))); assert v.destroy('ana'); v.close()"
    path = [entry for entry in sys.path if entry]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {code}", str(tmp_path / "vault.db")]
    subprocess.run(command, check=True)
    with pytest.raises(TextErased):
        vault.open("ana", sealed)
    assert vault.open("ana", vault.seal("ana", "anew")) == "anew"


def test_a_destruction_is_noticed_even_when_own_keys_are_saved_in_between(open_vault):
    here, there = open_vault(), open_vault()
    sealed = here.seal("ana", "hello")
    here.flush()
    there.destroy("ana")
    here.flush()
    with pytest.raises(TextErased):
        here.open("ana", sealed)
    other = here.seal("bob", "hi")
    there.destroy("nobody")
    here.flush()
    assert here.open("bob", other) == there.open("bob", other) == "hi"


def test_keys_pushed_out_of_memory_are_found_again(open_vault):
    vault = open_vault(cache_size=2)
    sealed = {f"s{number}": vault.seal(f"s{number}", f"text {number}") for number in range(10)}
    for flushed in (False, True):
        if flushed:
            vault.flush()
        for subject, text in sealed.items():
            assert vault.open(subject, text) == f"text {subject[1:]}"


def test_two_vaults_on_one_store_open_each_others_texts(open_vault):
    here, there = open_vault(), open_vault()
    first, second = here.seal("ana", "one"), there.seal("ana", "two")
    here.flush()
    there.flush()
    assert [there.open("ana", first), here.open("ana", second)] == ["one", "two"]
    assert here.destroy("ana")
    for sealed in (first, second):
        with pytest.raises(TextErased):
            there.open("ana", sealed)


def test_threads_seal_flush_and_open_together(vault):
    stop = threading.Event()

    def flush():
        while not stop.is_set():
            vault.flush()

    def work(number):
        texts = {f"s{number}-{index}": vault.seal(f"s{number}-{index}", "text") for index in range(100)}
        return all(vault.open(subject, sealed) == "text" for subject, sealed in texts.items())

    flusher = threading.Thread(target=flush)
    flusher.start()
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    stop.set()
    flusher.join()


def test_a_wrong_master_key_is_refused_before_it_wraps_anything(open_vault):
    open_vault()
    with pytest.raises(StorageFailed, match="master key"):
        open_vault(master=bytes(32))


def test_a_damaged_store_is_refused(tmp_path):
    (tmp_path / "vault.db").write_bytes(b"no database " * 200)
    with pytest.raises(StorageFailed, match="cannot be opened"):
        Vault(tmp_path / "vault.db", MASTER)


def test_all_who_start_together_load_the_same_master_key(tmp_path):
    path = tmp_path / "master"
    start = threading.Barrier(8)

    def load(_):
        start.wait()
        return load_master_key(path)

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(load, range(8)))
    assert keys == {path.read_bytes()}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["master"]


def test_a_file_that_is_no_master_key_is_refused(tmp_path):
    (tmp_path / "master").write_bytes(b"short")
    with pytest.raises(StorageFailed, match="5 bytes"):
        load_master_key(tmp_path / "master")
    with pytest.raises(StorageFailed, match="cannot be made"):
        load_master_key(tmp_path / "missing" / "master")
