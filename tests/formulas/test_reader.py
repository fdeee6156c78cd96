"""Tokens of formulas: how they are told apart, and where a text is refused."""

from __future__ import annotations

import pytest

from bayesdecov.errors import InputError
from bayesdecov.formulas.reader import Reader


def tokens(text):
    return Reader(text, ["a"]).tokens


def test_every_kind_of_token():
    assert tokens("""~ a.b_1 + `x ``y` ** "it\\"s" : 'q' - 1.5e-3 ^ .5(ä)""") == [
        ("sign", "~"), ("name", "a.b_1"), ("sign", "+"), ("quoted", "`x ``y`"), ("sign", "**"),
        ("text", '"it\\"s"'), ("sign", ":"), ("text", "'q'"), ("sign", "-"), ("number", "1.5e-3"),
        ("sign", "^"), ("number", ".5"), ("sign", "("), ("name", "ä"), ("sign", ")"),
    ]  # fmt: skip


def test_spaces_never_matter_between_tokens():
    parts = ["a", "+", "b", "**", "2", ":", "`c d`", "-", "(", "1", ")"]
    kinds = tokens(" ".join(parts))
    for gap in ("", "  ", "\t", "\n "):
        assert tokens(gap.join(parts)) == kinds
    assert [value for _, value in kinds] == parts
    assert tokens("") == tokens("  ") == []


@pytest.mark.parametrize("text", ["a ? b", "a & b", "{a}", "a; b", "`a", "'a", 'a"', "a\x00"])
def test_what_is_no_token_is_shown(text):
    with pytest.raises(InputError, match="formula: cannot be evaluated; found ") as caught:
        tokens(text)
    assert str(caught.value).isprintable()


def test_tokens_are_taken_one_by_one():
    reader = Reader("(a, b)", ["a"])
    assert reader.peek("(")
    assert not reader.peek("a", ")")
    reader.expect("(")
    assert reader.take() == ("name", "a")
    with pytest.raises(InputError, match=r"found ',' where '\)' is expected in '\(a, b\)'"):
        reader.expect(")")
    reader.expect(",")
    assert reader.take() == ("name", "b")
    reader.expect(")")
    assert not reader.peek(")")
    with pytest.raises(InputError, match=r"found 'the end' where '\)' is expected"):
        reader.expect(")")
    with pytest.raises(InputError, match="found an unexpected end"):
        reader.take()


def test_texts_without_end_are_refused():
    assert len(tokens("+" * 400)) == 400
    assert len(tokens("a" * 1000)) == 1
    for text in ("+" * 401, "a" * 1001, "`" + "a" * 1000 + "`"):
        with pytest.raises(InputError, match="more than 400 parts, or one above 1000 characters"):
            tokens(text)
    reader = Reader("a", ["a"])
    for _ in range(50):
        reader.deeper(1)
    with pytest.raises(InputError, match="more than 50 nested parentheses"):
        reader.deeper(1)
    reader.deeper(-2)
    reader.deeper(1)


def test_the_refusal_names_covariates_as_they_have_to_be_written():
    error = Reader("a", ["age", "cell type", "x`y"]).error("'z'")
    assert error.found == "'z' in 'a'"
    assert "the covariates are age, `cell type`, `x``y`;" in error.fix
