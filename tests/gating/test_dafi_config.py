"""DAFi's configuration files: columns, exclusions, slopes and names, both ways."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.gating import Box, Exclusion, Gate, Hierarchy, Polygon, Slope
from bayesdecov.gating.dafi_config import COLUMNS, read_config, read_rows
from bayesdecov.gating.files import read_hierarchy, write_hierarchy
from bayesdecov.gating.toml_format import from_tree, to_tree

HUGE = "1" + "0" * 400


def rows_of(seed, kinds=3, n=8):
    """Rows as DAFi has them: of clusters, of events, and slopes."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(1, n + 1):
        x, y = (np.sort(rng.integers(0, 201, 2)).tolist() for _ in range(2))
        kind = int(rng.integers(kinds))
        if kind == 2:  # corners (x low, y low) and (x high, y high)
            x = rng.integers(1, 151, 2).tolist()
            y = [int(rng.integers(x[0])), x[1] + int(rng.integers(1, 50))]
        rows.append([number, *rng.integers(1, 9, 2).tolist(), *x, *y, int(rng.integers(number)),
                     kind, int(rng.integers(2)), int(rng.integers(3))])  # fmt: skip
    return rows


def text_of(rows):
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


@pytest.mark.parametrize("seed", range(5))
def test_every_column_means_what_dafi_means(seed, tmp_path):
    rows = rows_of(seed)
    path = tmp_path / "g.config"
    header = "\t".join(COLUMNS) if seed % 2 else ""
    path.write_text(f"{header}\n" + text_of([*row, f"n{row[0]}"] for row in rows))
    tree = read_config(path, k=90, k_sub=12)
    for row, gate in zip(rows, tree, strict=True):
        number, x, y, x_min, x_max, y_min, y_max, parent, kind, _, again = row
        assert (gate.name, gate.x, gate.y) == (f"n{number}", x, y)
        assert gate.parent == (f"n{parent}" if parent else None)
        assert gate.mode == ("cluster" if kind == 0 else "events")
        assert tree.clusters_of(gate) == (0, 90, 12)[again]
        if kind == 2:
            assert gate.region == Slope(y_min / x_min, y_max / x_max)
        else:
            assert gate.region == Box(x_min, x_max, y_min, y_max)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_written_reads_as_the_same_gates(seed, tmp_path):
    rows, removed = rows_of(seed), rows_of(seed + 50, kinds=1)
    removed[4][1:] = removed[7][1:] = [0] * 10
    one, two = tmp_path / "in.config", tmp_path / "ex.config"
    one.write_text(text_of(rows))
    two.write_text(text_of(removed))
    tree = read_config(one, two, k=90, k_sub=12)
    assert [bool(gate.exclude) for gate in tree] == [number not in (4, 7) for number in range(8)]
    with pytest.warns(BayesdecovWarning, match="are left out: clustering"):
        write_hierarchy(tree, tmp_path / "out.config", tmp_path / "out_ex.config")
    written = read_rows(tmp_path / "out.config", "hierarchy")[0]
    for row, again in zip(rows, written, strict=True):
        assert again[:3] + again[7:9] == row[:3] + row[7:9]
        if row[8] != 2:
            assert again[3:7] == row[3:7]
    excluded = read_rows(tmp_path / "out_ex.config", "exclusion")[0]
    assert [row[:7] for row in excluded] == [row[:7] for row in removed[:7]]
    again = read_config(tmp_path / "out.config", tmp_path / "out_ex.config", 90, 12)
    assert again.gates == tree.gates


def test_a_slope_is_written_as_whole_numbers_of_the_same_ratio(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(20):
        low, high = sorted(Fraction(*map(int, rng.integers(1, 201, 2))) for _ in range(2))
        if low == high:
            continue
        gate = Gate(
            "a",
            1,
            2,
            Slope(low.numerator / low.denominator, high.numerator / high.denominator),
            mode="events",
        )
        write_hierarchy(Hierarchy((gate,)), tmp_path / "a.config", force=True)
        ((_, _, _, x_low, x_high, y_low, y_high, *_),) = read_rows(tmp_path / "a.config", "x")[0]
        assert (Fraction(y_low, x_low), Fraction(y_high, x_high)) == (low, high)
        assert min(x_low, x_high) >= 1
        assert max(x_low, x_high, y_low, y_high) <= 200


def test_bounds_are_parts_of_the_scale_and_bounds_beyond_it_its_ends(tmp_path):
    inf = np.inf
    for scale in (1, 200, 4000.0):
        box = Box(0.25 * scale, 0.5 * scale, -inf, inf)
        write_hierarchy(
            Hierarchy((Gate("a", 1, 2, box),), scale=scale), tmp_path / "a.config", force=True
        )
        ((_, _, _, *bounds, _, _, _, _),) = read_rows(tmp_path / "a.config", "hierarchy")[0]
        assert bounds == [50, 100, 0, 200]


def test_names_are_made_distinct(tmp_path):
    path = tmp_path / "g.config"
    row = [1, 1, 2, 0, 10, 0, 10, 0, 0, 1, 0]
    names = ["T", "B", "T", "T_3", "T", "T_5_", "M", "M"]
    path.write_text(text_of([*row, name] for name in names))
    found = read_config(path).names
    assert len(set(found)) == 8
    assert [found[i] for i in (1, 3, 5)] == ["B", "T_3", "T_5_"]
    assert all(found[i].startswith(f"T_{i + 1}") for i in (0, 2, 4))


def test_an_axis_that_no_column_names_is_said(tmp_path):
    tree = Hierarchy((Gate("a", "CD4", "CD3", Box(0, 1, 0, 1)),))
    with pytest.raises(InputError, match=r"columns: must name every axis .* no 'CD3' in CD4, CD8"):
        write_hierarchy(tree, tmp_path / "a.config", columns=["CD4", "CD8"])


INCLUSION = """1\t1\t2\t200\t150\t91\t200\t0\t2\t0\t1\tSinglets

2\t1\t3\t40\t170\t10\t150\t1\t0\t0\t2
3\t4\t3\t100\t200\t0\t150\t2\t1\t0\t0\tCD45
"""
EXCLUSION = "1\t1\t2\t0\t20\t0\t20\t0\t0\t0\t0\n2\t1\t4\t40\t60\t10\t25\t0\t0\t0\t0\n"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "in.config").write_text(INCLUSION)
    (tmp_path / "ex.config").write_text(EXCLUSION)
    return tmp_path


def test_config_is_read(config):
    tree = read_config(config / "in.config", config / "ex.config", k=100, k_sub=30)
    assert tree.names == ["Singlets", "pop2", "CD45"]
    singlets, second, third = tree.gates
    assert singlets.region == Slope(91 / 200, 200 / 150)
    assert (singlets.recluster, second.recluster, third.recluster) == (100, 30, 0)
    assert (second.parent, second.mode, second.x, second.y) == ("Singlets", "cluster", 1, 3)
    assert second.exclude == (Exclusion(Box(40, 60, 10, 25), 1, 4),)
    assert (third.parent, third.mode, third.exclude) == ("pop2", "events", ())


def test_config_both_ways(config):
    tree = read_config(config / "in.config", config / "ex.config", k=100, k_sub=30)
    with pytest.warns(BayesdecovWarning, match="are left out: clustering"):
        write_hierarchy(tree, config / "again.config", config / "again_ex.config")
    again = read_config(config / "again.config", config / "again_ex.config", 100, 30)
    assert again.gates == tree.gates
    assert from_tree(to_tree(tree)) == tree


def test_names_become_column_numbers(tmp_path):
    tree = Hierarchy((Gate("a", "CD4", "CD3", Box(0, 0.5, 0.25, 1)),), scale=1)
    write_hierarchy(tree, tmp_path / "a.config", columns=["CD3", "CD4"])
    assert (tmp_path / "a.config").read_text() == "1\t2\t1\t0\t100\t50\t200\t0\t0\t1\t0\ta\n"


@pytest.mark.parametrize(("tree", "said"), [
    (Hierarchy((Gate("a", "CD3", 1, Box(0, 1, 0, 1)),)), "numbers columns"),
    (Hierarchy((Gate("a", 1, 2, Polygon(((0, 0), (1, 0), (1, 1)))),)), "supports only boxes"),
    (Hierarchy((Gate("a", 1, 2, Box(0, 1.5, 0, 1)),)), "whole multiples"),
    (Hierarchy((Gate("a", 1, 2, Slope(0.123456, 2), mode="events"),)), "ratio of whole numbers"),
    (Hierarchy((Gate("a", 1, 2, Box(0, 1, 0, 1), recluster=7),)), "two numbers of clusters"),
    (Hierarchy((Gate("a", 1, 2, Box(0, 1, 0, 1), exclude=(Exclusion(Box(0, 1, 0, 1)),)),)),
     "second file"),
])  # fmt: skip
def test_what_config_cannot_say(tree, said, tmp_path):
    with pytest.raises(InputError, match=said):
        write_hierarchy(tree, tmp_path / "a.config")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("line", "said"), [
    ("1\t1\t2\t0\t10", "line 1 of 'x.config' must have 11 columns"),
    ("1 1 2 0 10 0 10 0 0 0 0", "found 1 tab-separated columns"),
    ("1|1|2|0|10|0|10|0|0|0|0|5,7|name", "R version"),
    ("1|1|2|0|x|0|10|0|0|0|0", "whole numbers; found 'x'"),
    ("1|1|2|0|10|0|10|1|0|0|0", "Parent_ID: must be an earlier row"),
    ("1|1|2|0|10|0|10|0|2|0|0", "Min_X: of a slope gate must not be 0"),
    ("1|1|2|0|300|0|10|0|0|0|0", "within 0..200"),
    ("", "contains no gates"),
])  # fmt: skip
def test_bad_config(line, said, tmp_path):
    (tmp_path / "x.config").write_text(line.replace("|", "\t") + "\n")
    with pytest.raises(InputError, match=said):
        read_hierarchy(tmp_path / "x.config")


def test_more_exclusions_than_gates(config):
    (config / "many.config").write_text(EXCLUSION * 3)
    with pytest.raises(InputError, match="more rows"):
        read_config(config / "in.config", config / "many.config")


def test_blank_lines_between_exclusions_are_refused(config):
    (config / "gap.config").write_text(EXCLUSION.replace("\n2", "\n\n2"))
    with pytest.raises(InputError, match="blank lines between its rows; found line 2"):
        read_config(config / "in.config", config / "gap.config")
    (config / "zeros.config").write_text("\t".join("0" * 11) + "\n")
    tree = read_config(config / "in.config", config / "zeros.config")
    assert not any(gate.exclude for gate in tree)


@pytest.mark.parametrize("cell", ["1" * 5000, "\u00b2", "--5", HUGE, "", "\x1b[2J", "1.5", "0x1"])
def test_hostile_configurations(cell, tmp_path):
    row = ["1", "1", "2", "0", cell, "0", "100", "0", "0", "1", "0", "n"]
    (tmp_path / "g.config").write_text("\t".join(row) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="must contain whole numbers") as caught:
        read_hierarchy(tmp_path / "g.config")
    assert str(caught.value).isprintable()
