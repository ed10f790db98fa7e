"""Write the sample texts at the end of docs/twin.md anew, as the twin says them now."""

from __future__ import annotations

import random
from pathlib import Path

from headset.twin.example import write_examples
from headset.twin.phrasebook import LANGUAGES
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world

PAGE = Path(__file__).parents[1] / "docs" / "twin.md"
HEADING = "## Texts\n"
COUNT = 30
_INTRODUCTION = f"""{COUNT} of each language and channel, drawn with a fixed seed and not chosen; the arrow points at
what the customer wants. A call is a recogniser's transcript, with its mistakes. `tools/write_twin_texts.py` writes this
section."""
_SEED = 2026
_NAMES = {"en": "English", "es": "Spanish", "de": "German", "chat": "chat", "voice": "telephone", "email": "e-mail"}


def samples() -> str:
    """The section: so many texts of each language and channel, with what the customer wants."""
    world = make_world(read_scenario("quiet_week"))
    parts = [HEADING, _INTRODUCTION]
    for language in LANGUAGES:
        for channel in ("chat", "voice", "email"):
            chance = random.Random(f"{_SEED}:{language}:{channel}")
            parts.append(f"\n### {_NAMES[language]}, {_NAMES[channel]}\n")
            examples = write_examples(world, COUNT, chance, language=language, channel=channel)
            parts.append("```text")
            for example in examples:
                first, *rest = example.text.split("\n")
                parts += [f"- {first}", *(f"  {line}".rstrip() for line in rest), f"    → {example.label}"]
            parts.append("```")
    return "\n".join(parts) + "\n"


def main() -> None:
    """Replace the section."""
    page = PAGE.read_text("utf-8")
    PAGE.write_text(page[: page.index(HEADING)] + samples(), "utf-8")


if __name__ == "__main__":
    main()
