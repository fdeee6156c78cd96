"""Shared validators: what passes, what is refused, and that messages name what was found."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bayesdecov import checks
from bayesdecov.errors import InputError

VALUES = [0, 1, 7, -1, np.int64(3), 0.5, 2.0, np.float32(0.25), math.nan, math.inf, True, False,
          "1", None, [1]]  # fmt: skip


def passes(check, *args, **options):
    try:
        check(*args, **options)
    except InputError as error:
        assert error.argument == "argument"  # noqa: PT017
        return False
    return True


@pytest.mark.parametrize(("check", "good"), [
    (checks.check_whole, [1, 7, 3]),
    (checks.check_workers, [1, 7, -1, 3]),
    (checks.check_positive, [1, 7, 3, 0.5, 2.0, 0.25]),
    (checks.check_probability, [0.5, 0.25]),
    (checks.make_generator, [0, 1, 7, 3, None]),
])  # fmt: skip
def test_numbers_pass_where_the_rule_says_so(check, good):
    passed = [value for value in VALUES if passes(check, value, "argument")]
    assert passed == good
    assert not any(isinstance(value, bool) for value in passed)


def test_what_passes_is_of_a_plain_type():
    assert type(checks.check_whole(np.int64(3), "argument")) is int
    assert type(checks.check_positive(np.float32(2), "argument")) is float
    assert checks.check_positive(10**30, "argument") == 1e30
    assert not passes(checks.check_positive, 10**400, "argument")  # no number of a computer
    assert checks.check_whole(0, "argument", at_least=0) == 0
    assert checks.check_choice("a", ["a", "b"], "argument") == "a"
    for value in ("c", 1, None, ["a"]):
        assert not passes(checks.check_choice, value, ["a", "b"], "argument")


def test_a_generator_is_kept_and_a_seed_is_one():
    own = np.random.default_rng(1)
    assert checks.make_generator(own) is own
    assert checks.make_generator(5).random() == np.random.default_rng(5).random()


def test_the_first_names_are_listed_and_the_rest_counted():
    assert checks.some("abcde") == "a, b, c, d, e"
    assert checks.some("abcdef") == "a, b, c, d, e, ... (6 in all)"
    assert checks.some([1, 2, 3], 2) == "1, 2, ... (3 in all)"


@pytest.mark.parametrize("code", [*range(32), 127, 128, 0x9F, 0xD800])
def test_control_characters_in_names_are_refused(code):
    with pytest.raises(
        InputError, match="gene names must not contain control characters"
    ) as caught:
        checks.check_plain_names(["good", f"a{chr(code)}b"], "argument", "gene")
    assert "gene 2" in str(caught.value)
    assert str(caught.value).isprintable()


def test_unprintable_names_that_are_only_unusual_pass():
    checks.check_plain_names(["a\u00a0b", "\u200b", "ä β", 5, None, ""], "argument", "gene")


def table(**changes):
    frame = pd.DataFrame({"s1": [1.0, 2.0, 0.0], "s2": [3.0, 4.0, 5.0]}, ["a", "b", "c"])
    return frame.assign(**changes)


@pytest.mark.parametrize(("frame", "said"), [
    (table(s1=[1, "x", 2]), "found text 'x' in column 's1', row 'b'"),
    (table(s1=[1, None, math.inf]), "found 2, the first in row 'b', column 's1'"),
    (table(s2=[1.0, -2.0, -3.0]), "found 2 negative values, the first -2 at gene 'b', sample 's2'"),
    (table(s2=0.0), "found only zeros in s2. Remove these samples"),
    (table().set_axis(["a", "a ", "c"]), "gene names must be unique; found 1 repeated: a"),
    (table().set_axis(["s", "s"], axis=1), "sample names must be unique"),
    (table().set_axis(["a", None, "c"]), "names must not be missing; found 1"),
    (table().iloc[:0], "must not be empty; found 0 rows, 2 columns"),
    (pd.concat({"x": table()}), "found a MultiIndex"),
    (table().to_numpy(), "found ndarray"),
])  # fmt: skip
def test_a_table_of_expression_is_refused_with_the_place(frame, said):
    with pytest.raises(InputError) as caught:
        checks.check_expression(frame, "bulk")
    assert caught.value.argument == "bulk"
    assert said in str(caught.value)


def test_a_table_becomes_floats_with_names_as_text():
    frame = table().set_axis([1, 2.5, " c "]).astype(object)
    found = checks.check_numeric(frame, "bulk")
    assert list(found.index) == ["1", "2.5", "c"]
    assert [column.dtype.name for _, column in found.items()] == ["float64", "float64"]
    np.testing.assert_array_equal(found, table())
    assert checks.check_numeric(table()["s1"], "bulk").shape == (3, 1)


def test_labels_are_aligned_by_name_whatever_holds_them():
    samples = pd.Index(["s2", "s1", "s3"])
    labels = pd.Series({"s3": "B", "s1": " T ", "s2": "B", "other": "X"})
    frame = labels.rename("cell_type").rename_axis("sample").reset_index()
    for given in (labels, labels.to_dict(), labels.to_frame("kind"), frame,
                  frame.assign(batch=1)):  # fmt: skip
        assert checks.check_labels(given, samples).to_dict() == {"s2": "B", "s1": "T", "s3": "B"}
    numbers = pd.Series({"s1": 1.0, "s2": 2.0, "s3": 2.5})
    assert checks.check_labels(numbers, samples).tolist() == ["2", "1", "2.5"]
    donors = checks.check_labels(frame.assign(donor=list("xyzz")), samples, "donors")
    assert donors.tolist() == ["z", "y", "x"]


@pytest.mark.parametrize(("labels", "said"), [
    ({"s1": "T"}, "every purified sample needs a cell type; found no label for s2"),
    ({"s1": "T", "s2": " "}, "must not be missing; found no cell type for s2"),
    ({"s1": "T", "s2": None}, "must not be missing; found no cell type for s2"),
    ({"s1": "T", "s2": "T "}, "must name at least two cell types; found T"),
    ({"s1": "T", "s2": "B\n"}, ""),
    (["T", "B"], "must be a Series"),
    (pd.Series(["T", "B", "T"], ["s1", "s2", "s1 "]), "sample names must be unique"),
])  # fmt: skip
def test_labels_that_say_too_little_are_refused(labels, said):
    samples = pd.Index(["s1", "s2"])
    if not said:  # spaces and line breaks around a label go
        assert checks.check_labels(labels, samples).tolist() == ["T", "B"]
        return
    with pytest.raises(InputError) as caught:
        checks.check_labels(labels, samples)
    assert caught.value.argument == "labels"
    assert said in str(caught.value)


def test_a_covariance_is_symmetric_and_positive_definite():
    rng = np.random.default_rng(0)
    for smallest in (1e-6, -1e-6):
        vectors = np.linalg.qr(rng.normal(size=(5, 5)))[0]
        matrix = vectors @ np.diag([smallest, 1, 1, 2, 3]) @ vectors.T
        matrix = (matrix + matrix.T) / 2
        said = passes(checks.check_positive_definite, matrix, "argument", "T")
        assert said == (smallest > 0)
    matrix[0, 1] += 1e-3
    with pytest.raises(InputError, match="the covariance of 'T' must be symmetric"):
        checks.check_positive_definite(matrix, "covariances", "T")


def test_numbers_by_cell_type_come_in_the_order_of_the_types():
    types = pd.Index(["T", "2", "B"])
    found = checks.match_cell_types({"B": 1, 2.0: 3, "T": 0.5, "other": -1}, types, "mrna")
    assert found.to_dict() == {"T": 0.5, "2": 3.0, "B": 1.0}
    assert list(found.index) == list(types)
    for given, said in (({"T": 1, "B": 1}, "none for 2"), ({"T": 1, "2": 0, "B": 1}, "positive"),
                        ([1, 2, 3], "must map each cell type"),
                        ({"T": 1, " T": 2, "2": 1, "B": 1}, "must be unique")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            checks.match_cell_types(given, types, "mrna")


def test_profiles_that_cannot_be_told_apart_are_named():
    rng = np.random.default_rng(1)
    mean = pd.DataFrame(rng.gamma(2.0, 2.0, (30, 4)), columns=list("abcd"))
    checks.check_collinear(mean, "mean")
    assert checks.find_nearly_collinear(mean) == ""
    twin = mean.assign(e=1000 * (mean["a"] + 2 * mean["c"]))
    with pytest.raises(InputError, match="cannot be distinguished: a, c, e"):
        checks.check_collinear(twin, "mean")
    near = twin.assign(e=twin["e"] * (1 + 1e-6 * rng.normal(size=30)))
    checks.check_collinear(near, "mean")  # not exactly
    assert checks.find_nearly_collinear(near) == "a, c, e"
    with pytest.raises(InputError, match="found 3 genes and 4 cell types"):
        checks.check_collinear(mean.iloc[:3], "mean")
    with pytest.raises(InputError, match="found only zeros in b"):
        checks.check_collinear(mean.assign(b=0.0), "mean")


def test_a_cell_of_a_table_is_a_number_or_none():
    assert checks.to_number(" 1e3 ") == 1000.0
    assert checks.to_number("1e40038475397113199") == math.inf
    assert all(math.isnan(checks.to_number(value)) for value in ("x", None, [1], "", 10**400))
