"""What the data checks catch and what they block: ten planted corruptions, and clean data.

``python benchmarks/data_checks.py [--quick]``. Data are made-up conversations, three languages and channels, and
BANKING77 where it is found (``HEADSET_DATA``, or ``../shared/data`` beside the project). Each run draws fresh rows to
be checked, rows to test on and an accepted reference, none of them shared. A corruption counts as caught when the
check it is meant for fails; a clean run counts as a false block when any check fails.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import string
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.progress import track
from rich.table import Table

from headset.core.clock import MICROSECONDS
from headset.data.quality.check import Beside, check_data
from headset.data.quality.table import table_of
from headset.features.static_encoder import load_encoder
from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world

if TYPE_CHECKING:
    from collections.abc import Callable

    from headset.data.quality.check import DataReport

    Rows = list[dict[str, object]]
    Source = Callable[[Random], tuple[Rows, Rows, Rows]]

SEED = 7
NOW = 1_800_000_000_000_000
_DAY_US = 86_400 * MICROSECONDS
_ROWS, _TEST_ROWS = 2_000, 500
_FEW_INTENTS = 30
_SPANISH = (
    "Quiero saber por qué no puedo entrar en mi cuenta desde el {}",
    "¿Cuándo me van a devolver el dinero que pagué el {}?",
    "No entiendo la factura que me llegó el {} y quisiera hablar con alguien",
    "Mi tarjeta no funciona desde el {}, ¿qué puedo hacer?",
)
_DAYS = [f"{day} de {month}" for day in range(1, 29) for month in ("enero", "mayo", "junio", "julio", "agosto")]


def main() -> None:
    """Run, print the table and the line of JSON."""
    parser = argparse.ArgumentParser(description="Catches and false blocks of the data checks.")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs")
    quick = parser.parse_args().quick
    clean_runs, seeds = (2, 1) if quick else (100, 10)
    encoder = load_encoder()
    sources = {"made-up": made_up(_ROWS // 2 if quick else _ROWS), **banking77(_FEW_INTENTS if quick else None)}

    def check(rows: Rows, test: Rows, reference: Rows, only: tuple[str, ...] | None = None) -> DataReport:
        beside = Beside(test=table_of(frame(test), "test"), reference=table_of(frame(reference), "reference"))
        return check_data(table_of(frame(rows), "data"), encoder=encoder, now=NOW, beside=beside, only=only)

    caught: dict[str, Counter[str]] = {name: Counter() for name in sources}
    blocks: dict[str, Counter[str]] = {name: Counter() for name in sources}
    warned: Counter[str] = Counter()
    runs = Counter(list(sources)[number % len(sources)] for number in range(clean_runs))
    for number in track(range(clean_runs), "clean runs"):
        name = list(sources)[number % len(sources)]
        report = check(*sources[name](Random(SEED * 1_000 + number)))
        blocks[name].update(each.check for each in report.findings if each.mark == "fail")
        blocks[name]["any"] += report.mark == "fail"
        warned.update(each.check for each in report.findings if each.mark == "warn")
    for number in track(range(seeds), "corrupted"):
        for name, source in sources.items():
            for corruption, (check_name, corrupt) in CORRUPTIONS.items():
                random = Random(SEED * 2_000 + number)
                rows, test, reference = source(random)
                report = check(corrupt(rows, test, random), test, reference, (check_name,))
                finding = report.finding(check_name)
                caught[name][corruption] += finding.mark == "fail"
                if finding.mark != "fail":
                    print(f"missed: {corruption} in {name}: {finding.summary}, {finding.value}")
    tell(caught, blocks, runs, warned, seeds)


def tell(
    caught: dict[str, Counter[str]],
    blocks: dict[str, Counter[str]],
    runs: Counter[str],
    warned: Counter[str],
    seeds: int,
) -> None:
    """Print what came out."""
    table = Table("corruption", "check", *(f"caught in {name}" for name in caught))
    for corruption, (check_name, _) in CORRUPTIONS.items():
        table.add_row(corruption, check_name, *(f"{counts[corruption]} of {seeds}" for counts in caught.values()))
    table.add_section()
    table.add_row("none", "any", *(f"{blocks[name]['any']} blocked of {runs[name]}" for name in caught))
    console = Console()
    console.print(table)
    console.print(
        f"warnings in clean runs: {dict(warned)}; blocks: { {name: dict(each) for name, each in blocks.items()} }"
    )
    everything = all(counts[corruption] == seeds for counts in caught.values() for corruption in CORRUPTIONS)
    kinds = sum(all(counts[each] == seeds for counts in caught.values()) for each in CORRUPTIONS)
    false = sum(each["any"] for each in blocks.values())
    figures = {
        "name": "data_checks",
        "figure": false,
        "unit": f"false blocks in {runs.total()} clean runs, {kinds} of {len(CORRUPTIONS)} corruptions always caught",
        "target": 0,
        "holds": false == 0 and everything,
        "baseline": f"no checks: none of {len(CORRUPTIONS)} caught; data: {', '.join(caught)}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "seed": SEED,
    }
    print(json.dumps(figures))


def made_up(rows: int) -> Source:
    """Texts of the twin's customers, with what their conversations say of them."""
    world = make_world(read_scenario("quiet_week"))

    def draw(random: Random) -> tuple[Rows, Rows, Rows]:
        parts = []
        for count in (rows, _TEST_ROWS, rows):
            examples = write_examples(world, count, random)
            parts.append(
                dated([{name: getattr(each, name) for name in each.__struct_fields__} for each in examples], random)
            )
        return parts[0], parts[1], parts[2]

    return draw


def banking77(intents: int | None) -> dict[str, Source]:
    """BANKING77, where it is: data and reference are quarters of its training part, in equal shares of each intent.

    Args:
        intents: The first so many; all when None.
    """
    folder = Path(os.environ.get("HEADSET_DATA") or Path(__file__).parents[2] / "shared" / "data") / "banking77"
    if not folder.is_dir():
        print("BANKING77 is neither in ../shared/data nor in HEADSET_DATA: left out")
        return {}
    train, test = (
        [
            {"text": row["text"], "label": row["category"]}
            for row in csv.DictReader((folder / f"{part}.csv").open(encoding="utf-8"))
        ]
        for part in ("train", "test")
    )

    kept = set(sorted({row["label"] for row in train})[:intents])
    train, test = ([row for row in rows if row["label"] in kept] for rows in (train, test))

    def draw(random: Random) -> tuple[Rows, Rows, Rows]:
        mixed = random.sample(train, len(train))
        mixed.sort(key=lambda row: row["label"])
        return tuple(  # type: ignore[return-value]
            dated([dict(row) for row in random.sample(rows, len(rows))], random)
            for rows in (mixed[::4], random.sample(test, _TEST_ROWS), mixed[1::4])
        )

    return {"BANKING77": draw}


def dated(rows: Rows, random: Random) -> Rows:
    """The rows, said in the last thirty days."""
    return [row | {"time": NOW - random.randrange(30 * _DAY_US)} for row in rows]


def frame(rows: Rows) -> pl.DataFrame:
    """The rows as a frame."""
    return pl.DataFrame(rows, infer_schema_length=None)


def repeat_block(rows: Rows, _test: Rows, random: Random) -> Rows:
    """A quarter of the rows stands in the file twice."""
    return rows + random.sample(rows, len(rows) // 4)


def near_copies(rows: Rows, _test: Rows, random: Random) -> Rows:
    """A third of the rows again, each with a word or sign more or less."""

    def edit(text: str) -> str:
        return random.choice((f"{text}!", f"hi {text}", f"{text} thanks", text.rstrip("?.! ") + " ??"))

    return rows + [row | {"text": edit(str(row["text"]))} for row in random.sample(rows, len(rows) // 3)]


def mislabel(rows: Rows, _test: Rows, random: Random) -> Rows:
    """A tenth of the labels is another one."""
    labels = sorted({str(row["label"]) for row in rows})
    wrong = set(random.sample(range(len(rows)), len(rows) // 10))
    return [
        row | {"label": random.choice([each for each in labels if each != row["label"]])} if place in wrong else row
        for place, row in enumerate(rows)
    ]


def leak(rows: Rows, test: Rows, random: Random) -> Rows:
    """A tenth of the test rows is in the data."""
    return rows + random.sample(test, len(test) // 10)


def new_label(rows: Rows, _test: Rows, random: Random) -> Rows:
    """One row in a hundred bears a label that nobody agreed on."""
    odd = set(random.sample(range(len(rows)), len(rows) // 100))
    return [row | {"label": "misc_other"} if place in odd else row for place, row in enumerate(rows)]


def blank(rows: Rows, _test: Rows, random: Random) -> Rows:
    """One row in fifty has no text."""
    odd = set(random.sample(range(len(rows)), len(rows) // 50))
    return [
        row | {"text": random.choice((None, "", "  ", "null", "N/A"))} if place in odd else row
        for place, row in enumerate(rows)
    ]


def foreign(rows: Rows, _test: Rows, random: Random) -> Rows:
    """A tenth of the texts is Spanish, and said to be English where anything is said."""
    odd = set(random.sample(range(len(rows)), len(rows) // 10))

    def spanish(row: dict[str, object]) -> dict[str, object]:
        text = random.choice(_SPANISH).format(random.choice(_DAYS))
        return row | {"text": text} | ({"language": "en"} if "language" in row else {})

    return [spanish(row) if place in odd else row for place, row in enumerate(rows)]


def lose_label(rows: Rows, _test: Rows, random: Random) -> Rows:
    """All rows of one label are gone."""
    gone = random.choice(sorted({str(row["label"]) for row in rows}))
    return [row for row in rows if row["label"] != gone]


def gibberish(rows: Rows, _test: Rows, random: Random) -> Rows:
    """One text in ten is a log line or keyboard noise."""
    odd = set(random.sample(range(len(rows)), len(rows) // 10))

    def noise() -> str:
        if random.random() < 0.5:
            return (
                f"2027-01-{random.randint(1, 28)}T{random.randint(0, 23)}:07:11Z ERROR"
                f" [{random.getrandbits(48):x}] rc={random.randint(1, 599)}"
            )
        letters = (random.choice(string.ascii_lowercase) for _ in range(random.randint(20, 60)))
        return "".join(letter if random.random() > 0.1 else " " for letter in letters)

    return [row | {"text": noise()} if place in odd else row for place, row in enumerate(rows)]


def truncate(rows: Rows, _test: Rows, random: Random) -> Rows:
    """The export ended after a third of the rows."""
    return random.sample(rows, len(rows) // 3)


CORRUPTIONS: dict[str, tuple[str, Callable[[Rows, Rows, Random], Rows]]] = {
    "a quarter twice": ("duplicates", repeat_block),
    "a third nearly twice": ("near_duplicates", near_copies),
    "10 % of labels wrong": ("label_noise", mislabel),
    "10 % of the test in the data": ("leakage", leak),
    "1 % under an unknown label": ("unseen", new_label),
    "2 % without text": ("empty", blank),
    "10 % in another language": ("language", foreign),
    "a label is gone": ("vanished", lose_label),
    "10 % log lines and noise": ("outliers", gibberish),
    "two thirds missing": ("volume_change", truncate),
}


if __name__ == "__main__":
    main()
