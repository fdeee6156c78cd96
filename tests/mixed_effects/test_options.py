"""Options and presets: what is left alone, what goes before what, and what is refused."""

from __future__ import annotations

from dataclasses import asdict, fields

import pytest

from bayesdecov.errors import InputError
from bayesdecov.mixed_effects.options import PRESETS, Choices, resolve
from bayesdecov.options import EstimatorOptions

GIVEN = {
    "trim": 0.25, "screen": "anderson", "screen_level": 0.2, "screen_correct": True,
    "screen_single": True, "covariance": "ogk", "correction": "block", "drop_outliers": True,
    "diagonal": True, "bias": "none", "trim_fixed": False, "statistic": "score", "sided": 1,
    "df": "satterthwaite",
}  # fmt: skip


def chosen(preset, **given):
    return resolve(preset, EstimatorOptions(**given))


def test_every_choice_is_a_documented_option():
    options = {each.name for each in fields(EstimatorOptions)}
    for each in fields(Choices):
        assert each.name in options
        assert each.name in EstimatorOptions.__doc__
        assert each.name in GIVEN


@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_what_is_given_goes_before_the_preset_and_the_preset_before_the_defaults(preset):
    base = asdict(PRESETS[preset] if preset else Choices())
    assert asdict(chosen(preset)) == base  # None: not given
    assert asdict(chosen(preset, **GIVEN)) == GIVEN
    for name, value in GIVEN.items():
        assert asdict(chosen(preset, **{name: value})) == base | {name: value}


def test_names_of_effects_may_come_in_any_iterable():
    for names in (["a", "b"], ("a", "b"), iter(["a", "b"]), {"a": 1, "b": 2}):
        assert chosen(None, screen=names).screen == ("a", "b")
    assert chosen(None, screen=[1, 2]).screen == ("1", "2")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trim": 1}, r"trim: must lie in \[0, 1\); found 1\. 0\.5 leaves out half"),
        ({"trim": -0.1}, "trim: must lie in"),
        ({"trim": True}, "trim: must lie in"),
        ({"trim": "half"}, "trim: must lie in"),
        ({"trim": float("nan")}, "trim: must lie in"),
        ({"screen_level": 1.5}, "screen_level"),
        ({"screen": "nonesuch"}, "screen: must be one of .*'none'"),
        ({"screen": 3}, "screen: must be a test or the names of random effects; found 3"),
        ({"covariance": "robust"}, "covariance: must be one of 'trimmed', 'sample', 'mcd', 'ogk'"),
        ({"correction": "both"}, "correction: must be one of"),
        ({"bias": "some"}, "bias: must be one of"),
        ({"statistic": "t"}, "statistic: must be one of"),
        ({"df": "kenward"}, "df: must be one of"),
        ({"sided": 3}, "sided: must be 1 or 2; found 3"),
    ],
)
def test_what_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        chosen(None, **given)


def test_an_unknown_preset_is_refused():
    with pytest.raises(InputError, match=r"preset: must be one of 'fastmix-0\.2\.5', 'paper'"):
        chosen("r")
