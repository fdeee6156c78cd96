"""The wording of errors, and notes that are recorded and warned of once."""

from __future__ import annotations

import pytest

from bayesdecov.errors import BayesdecovWarning, InputError, Notes


@pytest.mark.parametrize(("options", "said"), [
    ({}, "bulk: must be a table."),
    ({"found": "5"}, "bulk: must be a table; found 5."),
    ({"fix": "give a table"}, "bulk: must be a table. Give a table."),
    ({"fix": "did you mean 'b'?"}, "bulk: must be a table. Did you mean 'b'?"),
    ({"found": "x", "fix": "write 0.95."}, "bulk: must be a table; found x. Write 0.95."),
])  # fmt: skip
def test_an_error_says_which_argument_the_rule_what_was_found_and_what_to_do(options, said):
    error = InputError("bulk", "must be a table", **options)
    assert str(error) == said
    assert isinstance(error, ValueError)
    assert (error.argument, error.rule) == ("bulk", "must be a table")
    assert (error.found, error.fix) == (options.get("found", ""), options.get("fix", ""))


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\nb", "a\x00\x7f", "a\u2028b", "\ud800", "\u202e"])
def test_nothing_of_a_file_reaches_the_terminal_as_a_command(text):
    error = InputError("bulk", f"has {text}", found=text, fix=text)
    assert str(error).isprintable()
    assert text.encode("unicode_escape").decode() in str(error)


def test_letters_of_all_languages_stay():
    assert "β-Zellen 名 \\n" in str(InputError("bulk", "has no β-Zellen 名 \\n"))


def test_notes_are_recorded_in_order_and_warnings_are_said_at_once():
    notes = Notes()
    notes.info("first")
    with pytest.warns(BayesdecovWarning, match="^second$") as caught:
        notes.warn("second")
    notes.info("third")
    assert notes.lines == ["first", "second", "third"]
    assert len(caught) == 1
    assert caught[0].filename == __file__  # where it was noticed, not where notes are kept
    assert Notes().lines == []
