"""Tables of samples that were gated, from tallies made by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from bayesdecov.errors import BayesdecovWarning, Notes
from bayesdecov.gating import Box, Composition, Gate, Hierarchy
from bayesdecov.gating.composition import Tally
from bayesdecov.gating.sample import Gated
from bayesdecov.gating.summarise import SHOWN, tables_of, tell_files

BOX = Box(0, 1, 0, 1)
GATES = tuple(Gate(name, "x", "y", BOX, parent) for name, parent in
              (("live", None), ("a", "live"), ("b", "live")))  # fmt: skip
TREE = Hierarchy(GATES, composition=Composition("live", ("a", "b"), "rest"))
SEEDS = [4, 9]


def gated(name, *tallies, counts=None):
    """A sample of which live, a and b hold what the tallies of two seeds say."""
    if counts is None:
        counts = [
            [
                t.total,
                sum(n for cell, n in t.cells.items() if cell & 1),
                sum(n for cell, n in t.cells.items() if cell & 2),
            ]
            for t in tallies
        ]
    facts = {"events": 100, "used": 99, "format": "table"}
    return Gated(
        name, np.array(counts), list(tallies), f"packed {name}", f"picture {name}", facts, []
    )


ONE = gated("one", Tally(50, {0: 10, 1: 30, 2: 10}, 0), Tally(40, {0: 4, 1: 16, 2: 20}, 0))
TWO = gated("two", Tally(10, {1: 10}, 0), Tally(20, {0: 10, 2: 10}, 0))


def tables(samples, notes=None, *, places=None, draws=400, tree=TREE, seeds=SEEDS):
    places = list(range(len(samples))) if places is None else places
    return tables_of(samples, places, tree, seeds, draws, notes or Notes())


def test_proportions_are_means_over_seeds_and_their_spread_is_said():
    found = tables([ONE, TWO])
    table = found["proportions"]
    assert list(table.columns) == ["a", "b", "rest"]
    np.testing.assert_allclose(table.loc["one"], [(0.6 + 0.4) / 2, (0.2 + 0.5) / 2, 0.15])
    np.testing.assert_allclose(table.loc["two"], [0.5, 0.25, 0.25])
    diagnostics = found["diagnostics"]
    assert diagnostics["denominator"].tolist() == [45, 15]
    # the type that moves most: b from .2 to .5, and a from 1 to 0
    np.testing.assert_allclose(diagnostics["seed_sd"], [0.3 / np.sqrt(2), 1 / np.sqrt(2)])
    assert list(diagnostics.columns) == ["events", "used", "denominator", "overlap", "seed_sd",
                                         "format"]  # fmt: skip
    assert found["quantity"] == "fractions of live"
    assert found["packed"] == {"one": "packed one", "two": "packed two"}
    assert found["pictures"] == {"one": "picture one", "two": "picture two"}


def test_counts_are_means_over_seeds_and_kept_by_seed():
    found = tables([ONE, TWO])
    assert found["counts"].loc["one"].tolist() == [45, 23, 15]
    by_seed = found["by_seed"].set_index(["sample", "seed", "population"])["count"]
    for sample in (ONE, TWO):
        for row, seed in zip(sample.counts, SEEDS, strict=True):
            assert [by_seed[sample.name, seed, name] for name in TREE.names] == row.tolist()
    single = gated("one", ONE.tallies[0])
    notes = Notes()
    alone = tables([single], notes, seeds=[4])
    assert alone["counts"].to_numpy().dtype.kind == "i"
    assert alone["diagnostics"]["seed_sd"].isna().all()
    assert len(alone["by_seed"]) == 3


def test_draws_scatter_around_the_seeds_in_turn():
    drawn = tables([ONE], draws=8000)["draws"].proportions
    assert drawn.shape == (1, 1, 8000, 3)
    for seed, (counts, total) in enumerate((([30, 10, 10], 50), ([16, 20, 4], 40))):
        alpha = np.array(counts) + 0.5
        mean = alpha / (total + 1.5)
        se = np.sqrt(mean * (1 - mean) / (total + 2.5) / 4000)
        assert np.abs((drawn[0, 0, seed::2].mean(axis=0) - mean) / se).max() < 4


def test_draws_of_a_sample_depend_on_its_place_and_on_nothing_else():
    both = tables([ONE, TWO], places=[3, 5])["draws"].proportions
    alone = tables([TWO], places=[5])["draws"].proportions
    np.testing.assert_array_equal(both[1], alone[0])
    assert (tables([TWO], places=[6])["draws"].proportions != alone).all()


def lines_of(samples, **options):
    notes = Notes()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tables(samples, notes, **options)
    return [str(one.message) for one in caught], notes.lines


def test_what_is_odd_about_a_sample_is_said_by_name():
    overlapping = gated("over", Tally(10, {3: 4, 1: 3, 2: 3}, 0), Tally(10, {1: 5, 2: 5}, 0))
    outside = gated("out", Tally(10, {1: 5, 2: 5}, 7), Tally(10, {1: 5, 2: 5}, 0))
    empty = gated("empty", Tally(0, {}, 0), Tally(0, {}, 0))
    sometimes = gated("sometimes", Tally(0, {}, 0), Tally(10, {1: 5, 2: 5}, 0))
    warned, _ = lines_of([ONE, overlapping, outside, empty, sometimes])
    assert len(warned) == 4
    for said, name in (("types overlap: in over events", "over"),
                       ("in out types contain events that are not in 'live'", "out"),
                       ("no events in 'live', so no proportions: empty", "empty"),
                       ("with some seeds there are no events in 'live'", "sometimes")):  # fmt: skip
        (line,) = (line for line in warned if said in line)
        assert [
            other
            for other in ("over", "out", "empty", "sometimes")
            if f" {other}" in line.replace("types overlap", "")
        ] == [name]
    with pytest.warns(BayesdecovWarning):
        table = tables([empty, sometimes])["proportions"]
    assert table.loc["empty"].isna().all()
    assert table.loc["sometimes"].tolist() == [0.5, 0.5, 0.0]
    assert lines_of([ONE, TWO])[0] == []


def test_a_gate_that_is_usually_empty_is_warned_of_and_otherwise_recorded():
    full, none = Tally(10, {1: 5, 2: 5}, 0), Tally(10, {1: 10}, 0)
    good, bad = gated("good", full, full), [gated(f"bad{i}", none, none) for i in range(3)]
    said = "the gate 'b' keeps nothing in bad0"
    warned, noted = lines_of([good, bad[0]])
    assert warned == []
    assert said in noted
    warned, _ = lines_of([good, *bad[:2]])
    assert warned == [f"{said}, bad1"]
    above = gated("above", none, none, counts=[[0, 0, 0], [0, 0, 0]])  # nothing in its parent
    warned, noted = lines_of([good, above])
    assert not any("'b' keeps" in line for line in warned + noted)


def test_the_first_notes_on_files_are_warned_of_and_the_rest_recorded():
    lines = [f"line {i}" for i in range(SHOWN + 3)]
    notes = Notes()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tell_files(notes, lines)
    more = "3 more notes on files (see the notes of the result)"
    assert [str(one.message) for one in caught] == [*lines[:SHOWN], more]
    assert notes.lines == [*lines[:SHOWN], more, *lines[SHOWN:]]
