"""``headset data synthesize``: rows for rare intents, made, tried on real rows, and kept only where they help."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.data.dataset import read_dataset
from headset.data.synthetic.domain import Domain
from headset.data.synthetic.fidelity import Fidelity
from headset.data.synthetic.generation import GENERATORS, build_generators, generate
from headset.data.synthetic.privacy import PrivacyFilter
from headset.data.synthetic.store import append_synthetic, check_new
from headset.data.synthetic.token import normal
from headset.training.recipe import SHIPPED
from headset.training.recording import check_seed
from headset.training.synthesis.trial import FOLDS, Trial, try_synthesis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.core.clock import Clock
    from headset.data.dataset import Dataset
    from headset.data.synthetic.endpoint import Endpoint
    from headset.data.synthetic.generation import Generated
    from headset.data.synthetic.row import SyntheticRow
    from headset.events.door import Door
    from headset.events.log import Log
    from headset.events.vault import Vault
    from headset.features.encoder import Encoder
    from headset.training.recording import Progress

LEAST_TEXTS = FOLDS
"""Different texts of an intent from which rows can be made and tried."""

_RARE_LIMIT = 1_000
_PER_INTENT_LIMIT = 1_000
_ROWS_LIMIT = 100_000
_TEXTS_LIMIT = 200_000
_SHOWN = 3


class SynthesisRequest(Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes:
        dataset: Name of the real texts.
        name: What the rows are to be called.
        rare: An intent with fewer different texts is rare.
        per_intent: Rows made for each rare intent.
        generators: Names from :data:`GENERATORS`; empty where only an endpoint is to write.
        seed: Of everything random.
        dry: Keep nothing, whatever the trial says.
    """

    dataset: str
    name: str
    rare: int = 50
    per_intent: int = 100
    generators: tuple[str, ...] = GENERATORS
    seed: int = 0
    dry: bool = False

    def check(self) -> None:
        """Refuse what cannot be done.

        Raises:
            InvalidInput: a count, the seed or a generator's name is out of range.
        """
        check_seed(self.seed)
        for name, value, limit in (
            ("rare", self.rare, _RARE_LIMIT),
            ("per-intent", self.per_intent, _PER_INTENT_LIMIT),
        ):
            if not 1 <= value <= limit:
                raise InvalidInput(name, f"is {value}; give a number from 1 to {limit}")
        for generator in self.generators:
            if generator not in GENERATORS:
                raise InvalidInput(
                    "generators", f"{generator[:40]!r} is unknown; there are {', '.join(GENERATORS)}, and --endpoint"
                )


class Sample(Struct, frozen=True):
    """Some rows of one intent."""

    intent: str
    generator: str
    text: str


class SynthesisReport(Struct, frozen=True):
    """What came of it.

    Attributes:
        request: What was asked for.
        kept: Whether rows were kept, under ``request.name``.
        trial: The evidence.
        made: Rows by generator.
        refused: Candidates that were near-copies of a real text, by generator; never kept, never shown.
        strayed: Candidates that were nearer to another intent, by generator.
        repeated: Candidates that had been made before.
        short: Intents that got fewer rows than asked for, with how many.
        left_out: Rare intents with too few texts to try on, with how many they have.
        samples: Some rows.
    """

    request: SynthesisRequest
    kept: bool
    trial: Trial
    made: dict[str, int]
    refused: dict[str, int]
    strayed: dict[str, int]
    repeated: int
    short: dict[str, int]
    left_out: dict[str, int]
    samples: tuple[Sample, ...]


def synthesize(
    request: SynthesisRequest,
    *,
    log: Log,
    door: Door,
    vault: Vault,
    encoder: Encoder,
    clock: Clock,
    progress: Progress,
    endpoint: Endpoint | None = None,
) -> SynthesisReport:
    """Make rows for the rare intents of a data set, try them, and keep them if they help.

    Args:
        request: What is asked for.
        log: Holds the real texts, and gets the rows.
        door: Redacts and seals.
        vault: Opens the texts.
        encoder: Embeds texts.
        clock: Dates the rows.
        progress: Called with a phase and the fraction of it that is done, 0 to 1.
        endpoint: A language model to ask as well, where the user allowed it.

    Raises:
        NotFound: there is no data of that name.
        InvalidInput: a setting is out of range, there are too many texts, no intent is rare, or none has enough
            texts.
        Conflict: the name is taken.
        ModelFailed: the endpoint does not answer.
    """
    request.check()
    check_new(log, request.name)
    progress("read the data", 0.0)
    data = read_dataset(log, vault, request.dataset)
    check_size(data)
    rare, left_out = find_rare(data, request.rare)
    if len(rare) * request.per_intent > _ROWS_LIMIT:
        raise InvalidInput(
            "per-intent", f"makes {len(rare) * request.per_intent} rows, the limit is {_ROWS_LIMIT}; ask for fewer"
        )
    privacy = PrivacyFilter(data.texts)
    progress("read the data", 1.0)
    wanted = dict.fromkeys(rare, request.per_intent)

    def make(texts: Sequence[str], labels: Sequence[str], seed: int) -> Generated:
        domain = Domain(texts, labels)
        generators = build_generators(request.generators, domain, encoder)
        if endpoint is not None:
            generators.append(endpoint.over(domain))
        there = {intent: count for intent, count in wanted.items() if intent in domain.examples}
        return generate(generators, there, privacy, Fidelity(domain, encoder), Random(seed))  # noqa: S311 - draws texts

    trial = try_synthesis(
        data.texts,
        data.labels,
        list(rare),
        lambda texts, labels, seed: make(texts, labels, seed).rows,
        encoder,
        SHIPPED,
        seed=request.seed,
        progress=lambda part: progress("try on real texts", part),
    )
    progress("make the rows", 0.0)
    made = make(data.texts, data.labels, request.seed)
    progress("make the rows", 1.0)
    kept = trial.kept and bool(made.rows) and not request.dry
    if kept:
        append_synthetic(made.rows, request.name, data, log=log, door=door, vault=vault, clock=clock)
    return SynthesisReport(
        request=request,
        kept=kept,
        trial=trial,
        made=dict(sorted(Counter(row.generator for row in made.rows).items())),
        refused=made.refused,
        strayed=made.strayed,
        repeated=made.repeated,
        short=made.short,
        left_out=left_out,
        samples=_samples(made.rows, Random(request.seed)),  # noqa: S311 - draws texts
    )


def check_size(data: Dataset) -> None:
    """Refuse more texts than the filter of near-copies, which indexes them in memory, is made for.

    Raises:
        InvalidInput: there are more.
    """
    if len(data.texts) > _TEXTS_LIMIT:
        raise InvalidInput(
            "data",
            f"{data.name!r} holds {len(data.texts):,} texts, the limit is {_TEXTS_LIMIT:,}, since all of them are"
            " indexed in memory to refuse near-copies; import fewer of them under another name",
        )


def find_rare(data: Dataset, below: int) -> tuple[dict[str, int], dict[str, int]]:
    """Rare intents with their different texts: those to make rows for, and those with too few to make any from.

    Raises:
        InvalidInput: there is no text, only one intent, no rare one, or none with enough texts.
    """
    if not data.texts:
        erased = f" ({data.erased} were erased)" if data.erased else ""
        raise InvalidInput("data", f"{data.name!r} holds 0 readable texts{erased}; import more")
    different = {(normal(text), label) for text, label in zip(data.texts, data.labels, strict=True)}
    counts = Counter(label for text, label in sorted(different) if text)
    if len(counts) < 2:
        raise InvalidInput("data", f"{data.name!r} has {len(counts)} intents; rows are made where there are 2 or more")
    few = {label: count for label, count in sorted(counts.items()) if count < below}
    if not few:
        fewest, count = min(counts.items(), key=lambda item: (item[1], item[0]))
        raise InvalidInput(
            "rare",
            f"no intent of {data.name!r} has fewer than {below} different texts; the rarest,"
            f" {fewest[:60]!r}, has {count}; nothing needs to be made up, or raise --rare",
        )
    enough = {label: count for label, count in few.items() if count >= LEAST_TEXTS}
    if not enough:
        named = ", ".join(f"{label[:60]!r} has {count}" for label, count in list(few.items())[:_SHOWN])
        raise InvalidInput(
            "data",
            f"rows are made from {LEAST_TEXTS} different texts of an intent or more, but {named}; import more of them",
        )
    return enough, {label: count for label, count in few.items() if label not in enough}


def _samples(rows: Sequence[SyntheticRow], random: Random) -> tuple[Sample, ...]:
    by_intent: dict[str, list[SyntheticRow]] = {}
    for row in rows:
        by_intent.setdefault(row.label, []).append(row)
    return tuple(
        Sample(row.label, row.generator, row.text)
        for _, some in sorted(by_intent.items())
        for row in random.sample(some, min(_SHOWN, len(some)))
    )
