"""From the texts of a data set to synthetic rows for its rare intents."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from headset.data.synthetic.frame import Frame
from headset.data.synthetic.grammar import Grammar
from headset.data.synthetic.neighbour import Neighbours
from headset.data.synthetic.noise import Noise
from headset.data.synthetic.paraphrase import Paraphrase
from headset.data.synthetic.row import SyntheticRow
from headset.data.synthetic.slot import Slot
from headset.data.synthetic.token import normal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from headset.data.synthetic.domain import Domain
    from headset.data.synthetic.fidelity import Fidelity
    from headset.data.synthetic.privacy import PrivacyFilter
    from headset.data.synthetic.row import Generator
    from headset.features.encoder import Encoder

GENERATORS = ("frame", "grammar", "noise", "paraphrase", "slot")
"""What ships, beside an endpoint of the user's own."""

_TRIES = 40


class Generated(Struct, frozen=True):
    """What came of a generation.

    Attributes:
        rows: Those that passed.
        refused: Candidates that were near-copies of a real text, by generator.
        strayed: Candidates that were nearer to another intent, by generator.
        repeated: Candidates that were there already.
        short: Intents that got fewer rows than wanted, with how many.
    """

    rows: tuple[SyntheticRow, ...]
    refused: dict[str, int]
    strayed: dict[str, int]
    repeated: int
    short: dict[str, int]


def build_generators(names: Sequence[str], domain: Domain, encoder: Encoder) -> list[Generator]:
    """The named generators over ``domain``; noise works on what all the others make."""
    neighbours = Neighbours(domain, encoder.encode)
    makers: dict[str, Callable[[], Generator]] = {
        "frame": lambda: Frame(domain),
        "grammar": lambda: Grammar(domain),
        "paraphrase": lambda: Paraphrase(domain, neighbours),
        "slot": lambda: Slot(domain),
    }
    clean = [make() for name, make in makers.items() if name in names or names == ("noise",)]
    noisy: list[Generator] = [Noise(clean)] if "noise" in names else []
    return [*(clean if names != ("noise",) else []), *noisy]


def generate(
    generators: Sequence[Generator],
    wanted: Mapping[str, int],
    privacy: PrivacyFilter,
    fidelity: Fidelity,
    random: Random,
    *,
    progress: Callable[[float], None] = lambda _: None,
) -> Generated:
    """Draw rows for each intent, from each generator in turn, until there are enough or nothing new comes.

    Args:
        generators: Built over the texts that may be learned from, and no others.
        wanted: Rows by intent.
        privacy: Refuses near-copies.
        fidelity: Refuses what says something else.
        random: Decides what is drawn.
        progress: Called with the share that is done.
    """
    rows: list[SyntheticRow] = []
    refused: Counter[str] = Counter()
    strayed: Counter[str] = Counter()
    repeated = 0
    short: dict[str, int] = {}
    seen: set[str] = set()
    for done, (intent, count) in enumerate(sorted(wanted.items())):
        made = 0
        for turn in range(_TRIES * count):
            if made == count:
                break
            generator = generators[turn % len(generators)]
            drawn = generator.draw(intent, random)
            if drawn is None or not (plain := normal(drawn.text)):
                continue
            if plain in seen:
                repeated += 1
            elif privacy.is_near_copy(drawn.text):
                refused[generator.name] += 1
            elif not fidelity.holds(drawn.text, intent):
                strayed[generator.name] += 1
            else:
                seen.add(plain)
                made += 1
                rows.append(SyntheticRow(drawn.text, intent, generator.name, drawn.sources))
        if made < count:
            short[intent] = made
        progress((done + 1) / len(wanted))
    return Generated(tuple(rows), dict(sorted(refused.items())), dict(sorted(strayed.items())), repeated, short)
