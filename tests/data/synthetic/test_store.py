from __future__ import annotations

import pytest

from headset.core.errors import Conflict, InvalidInput, NotFound
from headset.data.dataset import list_datasets, read_dataset
from headset.data.importer import import_items
from headset.data.row import Dialogue, Turn
from headset.data.synthetic.row import SyntheticRow
from headset.data.synthetic.store import append_synthetic, check_new, list_synthetic, read_synthetic
from headset.events.door import Door


@pytest.fixture
def bank(log, vault, clock):
    """Three texts of three customers."""
    said = {"ana": "where is my card", "ben": "why this fee", "cy": "card please"}
    import_items(
        [
            Dialogue(number=number, customer_id=who, turns=(Turn("customer", text, intent="card"),))
            for number, (who, text) in enumerate(said.items(), 1)
        ],
        "bank",
        log=log,
        door=Door(vault),
        clock=clock,
    )
    return read_dataset(log, vault, "bank")


@pytest.fixture
def keep(bank, log, vault, clock):
    def run(rows, name="more"):
        append_synthetic(rows, name, bank, log=log, door=Door(vault), vault=vault, clock=clock)

    return run


ROWS = (
    SyntheticRow("card fee please", "card", "grammar", ("why this fee", "card please")),
    SyntheticRow("please, a card", "card", "frame", ("card please",)),
)


def test_rows_are_read_back_with_their_mark_and_sources(keep, bank, log, vault):
    keep(ROWS)
    assert read_synthetic(log, vault, "more", bank) == ROWS
    assert list_synthetic(log) == {"more": 2}


def test_synthetic_rows_are_in_no_data_set(keep, bank, log, vault):
    before = read_dataset(log, vault, "bank")
    keep(ROWS)
    assert read_dataset(log, vault, "bank") == before
    assert list_datasets(log) == {"bank": 3}
    with pytest.raises(NotFound, match="'more' holds synthetic texts, which are only learned from beside real ones"):
        read_dataset(log, vault, "more")


def test_no_text_stands_open_in_the_log(keep, log):
    keep(ROWS)
    told = [record.event for record in log.read(types=("TextSynthesized",))]
    assert all(row.text not in str(told) for row in ROWS)


@pytest.mark.parametrize("who", ["ben", "cy"])
def test_erasing_any_customer_behind_a_row_erases_the_row(keep, bank, log, vault, who):
    keep(ROWS)
    vault.destroy(f"customer:{who}")
    left = read_dataset(log, vault, "bank")
    if who == "ben":
        assert read_synthetic(log, vault, "more", bank) == ROWS[1:]
        assert read_synthetic(log, vault, "more", left) == ROWS[1:]
    else:
        with pytest.raises(
            InvalidInput, match="none of the 2 texts of 'more' was made from what can be read in 'bank'"
        ):
            read_synthetic(log, vault, "more", left)


def test_a_row_without_its_sources_is_not_kept(keep):
    with pytest.raises(InvalidInput, match="'bank' lacks a text that a synthetic row was made from"):
        keep([SyntheticRow("made up", "card", "frame", ("never said",))])


def test_a_name_is_used_once(keep, log):
    keep(ROWS)
    with pytest.raises(Conflict, match="'more' already names synthetic texts"):
        check_new(log, "more")
    with pytest.raises(Conflict, match="'bank' already names imported texts"):
        check_new(log, "bank")
    with pytest.raises(InvalidInput, match="is no data set name"):
        check_new(log, "my bank")
    check_new(log, "other")


def test_an_unknown_name_lists_those_there_are(keep, bank, log, vault):
    keep(ROWS)
    with pytest.raises(NotFound, match=r"'less' is not there.*there are: more"):
        read_synthetic(log, vault, "less", bank)


def test_rows_are_kept_all_or_none(keep, log, monkeypatch):
    """A process that dies halfway leaves no half of a set behind."""
    calls, append = [], log.append

    def once(events):
        calls.append(len(events))
        return append(events)

    monkeypatch.setattr(log, "append", once)
    keep([SyntheticRow(f"a card, number {number}", "card", "frame", ("card please",)) for number in range(1_200)])
    assert calls == [1_200]
