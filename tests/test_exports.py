"""A package's ``__all__`` names all it offers, and nothing it has not."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import pytest

import headset

PACKAGES = ["headset"] + [module.name for module in pkgutil.walk_packages(headset.__path__, "headset.") if module.ispkg]


@pytest.mark.parametrize("name", PACKAGES)
def test_the_export_list_is_exact(name):
    package = importlib.import_module(name)
    offered = {
        key
        for key, value in vars(package).items()
        if not key.startswith("_") and key not in {"annotations", "TYPE_CHECKING"} and not isinstance(value, ModuleType)
    }
    exported = getattr(package, "__all__", [])
    assert sorted(exported) == sorted(offered)
