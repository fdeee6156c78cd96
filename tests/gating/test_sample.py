"""One file from reading to counts: counts, packed members and tallies agree with the gates."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.errors import InputError
from bayesdecov.gating import Box, Clustering, Gate, Hierarchy, read_events
from bayesdecov.gating import sample as module
from bayesdecov.gating.composition import tally
from bayesdecov.gating.dafi import apply
from bayesdecov.gating.sample import Failed, Gated, gate_sample

TREE = Hierarchy(
    (
        Gate("low", "CD3", "CD4", Box(0, 50, 0, 60)),
        Gate("part", "CD3", "SSC", Box(0, 200, 0, 120), "low", mode="events"),
    ),
    clustering=Clustering(k=15),
)


def unpacked(found, n):
    return np.unpackbits(found.packed.bits, axis=1)[:, :n].astype(bool)


def test_every_seed_is_gated_and_the_first_one_is_kept(blobs):
    seeds = [3, 2, 11]
    found = gate_sample(blobs, "s", TREE, seeds)
    assert isinstance(found, Gated)
    events = read_events(blobs, TREE, "s")
    each = [apply(TREE, events, seed).inside for seed in seeds]
    assert found.counts.tolist() == [inside.sum(axis=1).tolist() for inside in each]
    assert len({tuple(row) for row in found.counts.tolist()}) == 3  # seeds do differ
    assert found.tallies == [tally(TREE, inside) for inside in each]
    assert (unpacked(found, 1000) == each[0]).all()
    assert found.packed.rows is None
    assert (found.packed.total, found.facts["events"], found.facts["used"]) == (1000, 1000, 1000)


def test_events_that_are_left_out_are_known_by_their_rows(blobs):
    gone = [5, 700, 999]
    damaged = blobs.copy()
    damaged.loc[gone, "CD4"] = np.nan
    found = gate_sample(damaged, "s", TREE, [2])
    alone = gate_sample(blobs.drop(index=gone), "s", TREE, [2])
    assert found.packed.rows.tolist() == [row for row in range(1000) if row not in gone]
    assert (found.packed.total, found.facts["used"]) == (1000, 997)
    assert (unpacked(found, 997) == unpacked(alone, 997)).all()
    assert any("3 of 1000 events" in note for note in found.notes)
    assert found.picture.inside.shape == (2, 997)


def test_the_file_says_the_same_as_the_table(blobs, tmp_path):
    blobs.to_csv(tmp_path / "a.csv", index=False)
    one, other = (gate_sample(source, "s", TREE, [2]) for source in (blobs, tmp_path / "a.csv"))
    assert one.counts.tolist() == other.counts.tolist()
    assert (one.packed.bits == other.packed.bits).all()


@pytest.mark.parametrize(("error", "said"), [
    (InputError("files", "'s' is odd", found="x"), "'s' is odd; found x."),
    (InputError("hierarchy", "is odd"), "hierarchy: is odd."),
    (MemoryError(), "not enough memory for its events"),
    (PermissionError(13, "Permission denied"), "Permission denied"),
    (OSError("the disk is away"), "the disk is away"),
    (ZeroDivisionError("by nought"), "unexpected ZeroDivisionError: by nought"),
])  # fmt: skip
def test_whatever_goes_wrong_is_an_answer(error, said, blobs, monkeypatch):
    def broken(*_):
        raise error

    monkeypatch.setattr(module, "apply", broken)
    assert gate_sample(blobs, "s", TREE, [2]) == Failed("s", "", said)


def test_a_file_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "none.csv"
    found = gate_sample(path, "s", TREE, [2])
    assert isinstance(found, Failed)
    assert found.file == str(path)
    assert "does not exist" in found.error


def test_being_interrupted_is_no_answer(blobs, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "apply", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gate_sample(blobs, "s", TREE, [2])
