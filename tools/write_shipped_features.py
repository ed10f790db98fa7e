"""Write the table of shipped views into docs/feature-store.md, from the definitions themselves."""

from __future__ import annotations

from pathlib import Path

from headset.features.families import risk_service, shipped

PAGE = Path(__file__).parents[1] / "docs" / "feature-store.md"
HEADING = "## Shipped views\n"
_DIM = 768  # of the encoder that comes with Headset


def section() -> str:
    """The section's text, below its heading."""
    views = shipped(_DIM)
    read = risk_service(views)
    lines = ["| view | about a | from | features | owner | fresh within |", "|---|---|---|---|---|---|"]
    for view in views:
        names = ", ".join(f"`{feature.name}`" for feature in view.features)
        told = f"`{view.name}`: {view.description}"
        lines.append(f"| {told} | {view.entity} | {view.event} | {names} | {view.owner} | {view.freshness} |")
    stored, computed = len(read.stored), len(read.on_demand)
    told = f"The service `risk` of the [risk model](risk.md) reads {stored} of these and computes {computed} on demand."
    return "\n".join(
        [
            "Written by `tools/write_shipped_features.py`; a test holds it to the definitions.",
            "",
            *lines,
            "",
            told,
            "",
        ]
    )


def main() -> None:
    """Replace the section."""
    page = PAGE.read_text("utf-8")
    before, _, _ = page.partition(HEADING)
    PAGE.write_text(f"{before}{HEADING}{section()}", "utf-8")


if __name__ == "__main__":
    main()
