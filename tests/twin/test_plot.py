from __future__ import annotations

import struct
from datetime import date, datetime, timedelta
from itertools import combinations

import msgspec
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from headset.twin.catalogue import dataset_catalogue, phrasebook_catalogue
from headset.twin.plot import draw_year
from headset.twin.rule import check_scenario
from headset.twin.scenario import (
    Calendar,
    Change,
    Fault,
    Incident,
    Occasion,
    Unfairness,
    read_scenario,
    scenario_names,
)

CATALOGUE = phrasebook_catalogue()
QUIET = read_scenario("quiet_week")
START = datetime(2026, 3, 2)  # noqa: DTZ001 - the centre's own clock has no zone


def eventful(start=START, **changes):
    """A scenario with everything that may be planted."""
    tables = {
        "start": start,
        "contacts_per_day": 200.0,
        "calendar": msgspec.structs.replace(
            QUIET.calendar,
            occasions=(
                Occasion(name="spring fair", kind="promotion", start=date(2026, 3, 4), factor=1.5),
                Occasion(name="easter", kind="holiday", start=date(2026, 4, 3), end=date(2026, 4, 6), factor=0.5),
            ),
        ),
        "incidents": (
            Incident(
                name="the storm",
                start=START + timedelta(hours=30),
                hours=20,
                intent="storm_outage",
                contacts_per_hour=40,
                where={"region": "north"},
            ),
        ),
        "changes": (
            Change(name="eSIM", start=START, end=START + timedelta(days=30), intents={"sim_swap": 4.0}, words={}),
        ),
        "unfairness": (Unfairness(name="strong accents", where={"accent": "strong"}, accuracy_loss=0.1),),
        "faults": (
            Fault(
                name="csat stands still",
                kind="stuck_feed",
                field="csat",
                start=START + timedelta(days=2),
                end=START + timedelta(days=3),
            ),
        ),
    }
    scenario = msgspec.structs.replace(QUIET, **(tables | changes))
    check_scenario(scenario, CATALOGUE)
    return scenario


@pytest.fixture
def texts(monkeypatch):
    """Draws, and gives each text of the picture with its box in dots; a text beyond the edges fails."""

    def draw(scenario, days, catalogue=CATALOGUE):
        figures = []
        save = Figure.savefig
        with monkeypatch.context() as patch:
            patch.setattr(
                Figure, "savefig", lambda self, *args, **options: figures.append(self) or save(self, *args, **options)
            )
            draw_year(scenario, catalogue, seed=1, days=days)
        renderer = FigureCanvasAgg(figures[0]).get_renderer()
        axes = [each for panel in figures[0].axes for each in (panel, *panel.child_axes)]
        ticks = {each for panel in axes for axis in (panel.xaxis, panel.yaxis) for each in axis.findobj(Text)}
        inside = {
            each
            for panel in axes
            for axis in (panel.xaxis, panel.yaxis)
            for each in (axis.label, *(tick.label1 for tick in axis._update_ticks() if tick.label1.get_visible()))
        }
        shown = [text for text in figures[0].findobj(Text) if text.get_text() and (text in inside or text not in ticks)]
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown]
        within = figures[0].bbox
        for name, box in boxes:
            assert within.x0 <= box.x0 < box.x1 <= within.x1, name
            assert within.y0 <= box.y0 < box.y1 <= within.y1, name
        return boxes

    return draw


def overlapping(boxes):
    return [
        (one, other)
        for (one, a), (other, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 2
    ]


def size(png):
    assert png.startswith(b"\x89PNG")
    return struct.unpack(">II", png[16:24])


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_that_comes_with_headset_is_drawn_without_overlaps(name, texts):
    scenario = read_scenario(name)
    boxes = texts(scenario, scenario.days)
    assert scenario.name in dict(boxes)
    assert overlapping(boxes) == []


@pytest.mark.parametrize("days", [0.3, 1, 2, 7, 20, 45, 120, 500, 1000])
def test_no_texts_overlap_at_any_length(days, texts):
    assert overlapping(texts(eventful(contacts_per_day=20.0), days)) == []


def test_all_that_is_planted_is_named(texts):
    shown = " | ".join(text for text, _ in texts(eventful(), 40))
    for named in (
        "spring fair · 4 Mar",
        "easter · 3–6 Apr",
        "the storm · 3 Mar 06:00 – 4 Mar 02:00 · storm_outage, region north",
        "eSIM · 2–31 Mar · sim_swap",
        "strong accents · all the time · accent strong",
        "csat stands still · 4 Mar · stuck_feed, csat",
        "Contacts per day",
        "Weekly profile",
        "Mix of intents, shares per day",
        "with seed 1. Customers who come back",
    ):
        assert named in shown


def test_what_lies_outside_the_period_has_no_lane(texts):
    shown = " | ".join(text for text, _ in texts(eventful(unfairness=(), changes=()), 1))
    assert "What is planted" not in shown
    assert "faults" not in shown


def test_the_picture_grows_only_where_very_much_is_planted():
    assert size(draw_year(eventful(), CATALOGUE, seed=1, days=7)) == (1600, 1200)
    storms = tuple(
        Incident(
            name=f"storm {n}", start=START + timedelta(hours=n), hours=30, intent="storm_outage", contacts_per_hour=1
        )
        for n in range(150)
    )
    width, height = size(draw_year(eventful(incidents=storms), CATALOGUE, seed=1, days=14))
    assert width == 1600
    assert 1200 < height < 2000


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
def test_long_names_are_cut_and_do_not_overlap(texts):
    name = "a name as long as it may be and then some more words to reach it"
    assert len(name) == 64
    labels = [f"{'收到卡 $x_1$ {b ' * 8}{number}" for number in range(80)]
    catalogue = dataset_catalogue(labels)
    scenario = msgspec.structs.replace(
        eventful(contacts_per_day=500.0),
        name=name,
        intents={},
        calendar=Calendar(
            occasions=tuple(
                Occasion(name=name, kind="holiday", start=date(2026, 3, day), end=date(2026, 3, day + 3))
                for day in range(1, 28, 2)
            )
        ),
        incidents=(
            Incident(name=name, start=START, hours=400, intent=labels[-1], contacts_per_hour=50),
            Incident(name=name, start=START + timedelta(days=26), hours=4, intent=labels[0], contacts_per_hour=50),
        ),
        changes=(Change(name=name, start=START, end=START + timedelta(days=9), intents=dict.fromkeys(labels, 2.0)),),
    )
    boxes = texts(scenario, 28, catalogue)
    assert overlapping(boxes) == []
    assert any("…" in text for text, _ in boxes)


@pytest.mark.parametrize("file_format", ["png", "svg"])
def test_equal_seeds_give_equal_bytes(file_format):
    first, again, other = (
        draw_year(eventful(), CATALOGUE, seed=seed, days=7, file_format=file_format) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert b"Software" not in first
    assert b"<dc:date>" not in first


def test_a_period_without_contacts_is_drawn():
    size(draw_year(msgspec.structs.replace(QUIET, contacts_per_day=1e-6), CATALOGUE, seed=1, days=1))
