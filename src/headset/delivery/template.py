"""``headset init``: a project for a user's own Git: code, tests, sample data, and pipelines that run as they are."""

from __future__ import annotations

import csv
import io
import re
from importlib.resources import files
from itertools import cycle
from typing import TYPE_CHECKING

import msgspec

from headset.core.errors import Conflict, InvalidInput, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from headset.twin.example import Example

_SUFFIX = ".tmpl"
_HIDDEN = "dot_"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def start_project(folder: Path, name: str, samples: Mapping[str, str]) -> list[Path]:
    """Write the files of a new project, and give their paths.

    Args:
        folder: Where; it must be empty, but for ``.git``, or not be there.
        name: Of the project.
        samples: Content of the files in ``data``, by name; made-up texts, since they go into a Git.

    Raises:
        InvalidInput: the name is no name.
        Conflict: the folder holds something.
        StorageFailed: it cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput("name", f"is {name[:70]!r}; use up to 63 of a-z 0-9 -, a letter or digit first")
    written = []
    try:
        if folder.exists() and any(each.name != ".git" for each in folder.iterdir()):
            raise Conflict("folder", f"{folder} is not empty; name another, or empty it")
        for path, text in (*_template(name), *((f"data/{file}", text) for file, text in samples.items())):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
            written.append(target)
    except OSError as error:
        raise StorageFailed(f"{folder} cannot be written ({error.strerror}); name another folder") from error
    return written


def _template(name: str) -> Iterator[tuple[str, str]]:
    for path, file in _walk(files("headset.delivery") / "template", ""):
        yield path.removesuffix(_SUFFIX), file.read_text("utf-8").replace("${name}", name)


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        path = prefix + (f".{each.name.removeprefix(_HIDDEN)}" if each.name.startswith(_HIDDEN) else each.name)
        if each.is_dir():
            yield from _walk(each, f"{path}/")
        elif path.endswith(_SUFFIX):
            yield path, each


def write_rows(examples: Iterable[Example]) -> str:
    """Texts with their intents as CSV.

    >>> from headset.twin.example import Example
    >>> write_rows([Example("Where is it?", "parcel", "en", "chat")]).splitlines()
    ['text,label', 'Where is it?,parcel']
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("text", "label"))
    writer.writerows((each.text, each.label) for each in examples)
    return text.getvalue()


def write_conversations(examples: Iterable[Example], regions: Sequence[str]) -> str:
    """The same as conversations, which say whose they are: JSON lines, customers of each region in turn.

    >>> from headset.twin.example import Example
    >>> write_conversations([Example("Where is it?", "parcel", "en", "chat")], ["north"])[:66]
    '{"channel":"chat","language":"en","attributes":{"region":"north"},'
    """
    return "".join(
        msgspec.json.encode(
            {
                "channel": each.channel,
                "language": each.language,
                "attributes": {"region": region},
                "turns": [{"speaker": "customer", "text": each.text, "intent": each.label}],
            }
        ).decode()
        + "\n"
        for each, region in zip(examples, cycle(regions), strict=False)
    )
