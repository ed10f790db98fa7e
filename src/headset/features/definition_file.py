"""Definition files: Python that defines views and services at its top level, kept in the user's Git."""

from __future__ import annotations

import sys
import traceback
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from headset.core.errors import HeadsetError, InvalidInput, NotFound
from headset.features.definition import FeatureService, FeatureView
from headset.features.plan import Definitions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def load_definitions(path: Path) -> Definitions:
    """Run a file, or each ``*.py`` of a folder in order of name, and collect what it defines.

    Views and services count that stand at the top level, by themselves or in a tuple or list. Files of a folder may
    import each other. What a file prints goes to standard error.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no Python, raises, or defines nothing; the message names file and line.
    """
    if not path.exists():
        raise NotFound("path", f"{path} does not exist; name a Python file or a folder of them")
    if path.is_file() and path.suffix != ".py":
        raise InvalidInput("path", f"{path} is no Python file; its name has to end in .py")
    files = [path] if path.is_file() else sorted(path.glob("*.py"))
    if not files:
        raise InvalidInput("path", f"{path} holds no Python file; put definitions into *.py")
    with _importable(files[0].parent.absolute()):
        found = [each for file in files for each in _run(file)]
    definitions = collected(found)
    if not definitions.views and not definitions.services:
        raise InvalidInput("path", f"{path} defines neither a FeatureView nor a FeatureService at its top level")
    return definitions


def collected(found: Iterable[object]) -> Definitions:
    """The views and services among ``found``, each once, also those in tuples and lists.

    Raises:
        InvalidInput: two that differ have one name.
    """
    views: list[FeatureView] = []
    services: list[FeatureService] = []
    for each in _flat(found):
        if isinstance(each, FeatureView) and each not in views:
            views.append(each)
        elif isinstance(each, FeatureService) and each not in services:
            services.append(each)
    return Definitions(views=tuple(views), services=tuple(services))


def _flat(found: Iterable[object]) -> Iterator[object]:
    for each in found:
        if isinstance(each, (tuple, list)):
            yield from _flat(each)
        elif isinstance(each, Definitions):
            yield from (*each.views, *each.services)
        else:
            yield each


def _run(file: Path) -> list[object]:
    """The values at the top level of ``file`` once it has run, and those in its tuples and lists."""
    names: dict[str, object] = {"__name__": file.stem, "__file__": str(file)}
    try:
        code = compile(file.read_bytes(), str(file), "exec")
        with redirect_stdout(sys.stderr):
            exec(code, names)  # noqa: S102 - the user's own definitions, which they ask to have run
            return list(_flat(names.values()))  # which runs the user's code too, and ends if a list holds itself
    except SyntaxError as error:
        line = "" if error.lineno is None else f":{error.lineno}"
        raise InvalidInput(f"{error.filename or file}{line}", f"is no Python ({error.msg})") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise InvalidInput(_place(file, error), _said(error)) from error


def _said(error: BaseException) -> str:
    """What ``error`` says, if it can say it."""
    try:
        return str(error) if isinstance(error, HeadsetError) else f"raised {type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - the user's own __str__
        return f"raised {type(error).__name__}"


def _place(file: Path, error: BaseException) -> str:
    """Where ``file`` was when it raised."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f"{file}:{lines[-1]}" if lines else str(file)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Files of ``folder`` can be imported, and are forgotten afterwards."""
    sys.path.insert(0, str(folder))
    before = set(sys.modules)
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            place = getattr(sys.modules[name], "__file__", None)
            if place is not None and Path(place).is_relative_to(folder):
                del sys.modules[name]
