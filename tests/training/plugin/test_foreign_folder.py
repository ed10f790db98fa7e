"""What comes from elsewhere: pickles are found in any disguise, and nothing leads out of the folder."""

from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest

from headset.core.errors import InvalidInput
from headset.registry.signature import Column, Signature, Tensor
from headset.training.plugin.foreign_folder import copy_foreign, holds_pickle
from headset.training.plugin.pyfunc_columns import columns_of

TEXT = Column("string", "text")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "code" / "model.py").write_text("x = 1")
    return folder


def test_files_are_copied_as_they_are(source, tmp_path):
    assert copy_foreign(source, tmp_path / "to") == []
    assert (tmp_path / "to" / "code" / "model.py").read_text() == "x = 1"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_found_under_any_name(source, tmp_path, protocol):
    (source / "weights.json").write_bytes(pickle.dumps({"a": 1}, protocol=protocol))
    (source / "m.PKL").write_bytes(b"")
    assert copy_foreign(source, tmp_path / "to") == ["m.PKL", "weights.json"]


def test_an_array_of_objects_and_an_archive_with_a_pickle_are_found(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    np.save(tmp_path / "b.npy", np.zeros(2))
    with zipfile.ZipFile(tmp_path / "c", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    assert [holds_pickle(tmp_path / name) for name in ("a.npy", "b.npy", "c")] == [True, False, True]


def test_a_link_is_refused(source, tmp_path):
    (source / "keys").symlink_to("/etc")
    with pytest.raises(InvalidInput, match="keys is a link"):
        copy_foreign(source, tmp_path / "to")


def test_an_archive_that_would_burst_is_refused(source, tmp_path):
    with zipfile.ZipFile(source / "bomb.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(30_000_000))
    with pytest.raises(InvalidInput, match="holds 1 files of 30000000 bytes in"):
        copy_foreign(source, tmp_path / "to")


def test_an_archive_that_leads_out_is_refused(source, tmp_path):
    with zipfile.ZipFile(source / "m.zip", "w") as archive:
        archive.writestr("../../keys", b"")
    with pytest.raises(InvalidInput, match="a path that leads out"):
        copy_foreign(source, tmp_path / "to")


def test_an_absurd_size_is_refused(source, tmp_path):
    with (source / "sparse").open("wb") as file:
        file.truncate(3_000_000_000)
    with pytest.raises(InvalidInput, match="2000000000 bytes"):
        copy_foreign(source, tmp_path / "to")
    assert not (tmp_path / "to" / "sparse").exists()


@pytest.mark.parametrize(
    ("outputs", "gives"),
    [
        ((Column("string", "intent"),), "label"),
        ((Column("string"),), "label"),
        ((Column("string", "label"), Column("double", "score")), "confidence"),
        ((Column("double", "a"), Column("double", "b")), "probabilities"),
        ((Column("tensor", tensor=Tensor("float64", (-1, 3))),), "probabilities"),
    ],
)
def test_the_columns_are_found_in_the_signature(outputs, gives):
    assert columns_of(Signature((TEXT,), outputs)).gives == gives


@pytest.mark.parametrize(
    "signature",
    [
        Signature((Column("double", "age"),), (Column("string", "intent"),)),
        Signature((TEXT, Column("double", "age")), (Column("string", "intent"),)),
        Signature((TEXT,), (Column("double", "price"),)),
        Signature((TEXT,), (Column("string", "city"), Column("string", "street"))),
    ],
)
def test_a_signature_that_does_not_fit_is_refused_and_named(signature):
    with pytest.raises(InvalidInput, match=r"signature: is \("):
        columns_of(signature)
