"""What no linter looks at: links that lead nowhere, and places that exist on one machine only.

Run as ``python tools/check_text.py``; prints ``file:line: problem`` and exits 1 when there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_CODE_SPAN = re.compile(r"`[^`]*`")
_ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
_MACHINE_PATH = re.compile(r"(?<![\w./~}\]-])/(?:work|root|home/\w+|Users/\w+)/[\w.]")
_REGISTRY = re.compile(
    r"\b(?:[\w-]+\.)*(?:pypi|pythonhosted|npmjs|artifactory|anaconda)\.(?:org|com|io)\b", re.IGNORECASE
)


def tracked_files(root: Path) -> list[Path]:
    """The files that are, or would be with ``git add --all``, in the repository."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sorted({path for name in listed.split("\0") if name and (path := root / name).is_file()})


def dead_links(page: Path) -> Iterator[str]:
    """Relative links and ``#anchors`` of a Markdown page that lead nowhere; the web is not asked."""
    for number, line in _prose(page):
        for target in _LINK.findall(_CODE_SPAN.sub("", line)):
            if _ELSEWHERE.match(target):
                continue
            name, _, anchor = target.partition("#")
            there = page.parent / name if name else page
            if not there.exists():
                yield f"{page}:{number}: no such file: {target}"
            elif anchor and there.suffix == ".md" and anchor not in _anchors(there):
                yield f"{page}:{number}: no such heading: {target}"


def machine_places(file: Path) -> Iterator[str]:
    """Paths of one machine and hosts of package registries, which mean nothing to a reader elsewhere."""
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, what in ((_MACHINE_PATH, "path of one machine"), (_REGISTRY, "package registry")):
            if found := pattern.search(line):
                yield f"{file}:{number}: {what}: {found[0]}"


def _prose(page: Path) -> Iterator[tuple[int, str]]:
    fenced = False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def _anchors(page: Path) -> set[str]:
    """Headings as GitHub spells them in links: lower case, punctuation dropped, spaces to hyphens."""
    titles = [found[1] for _, line in _prose(page) if (found := _HEADING.match(line))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def main() -> int:
    """Check every tracked file; 1 when something was found."""
    files = tracked_files(Path())
    problems = [problem for file in files for problem in machine_places(file)]
    problems += [problem for file in files if file.suffix == ".md" for problem in dead_links(file)]
    for problem in problems:
        print(problem)
    print(f"{len(files)} files: {len(problems)} dead links or places of one machine")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
