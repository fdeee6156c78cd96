"""Evaluation of formulas by formulaic, with columns and labels under internal names only.

Formulaic evaluates code. This code is assembled by `bayesdecov.formulas.expressions` from known
words; covariates and labels are looked up under names like ``bdv0`` that do not occur in the labels
of the table, so that the names of the design's columns can be translated back.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.formulas.expressions import Column, render, show
from bayesdecov.formulas.grammar import Formula


@dataclass(frozen=True)
class Evaluated:
    """A formula with the levels, centres and knots determined from a table.

    Attributes
    ----------
    names
        Names of the design's columns (without the intercept), as shown to users.
    products
        For each column that is a product of other design columns, those columns.
    labelled
        Covariates treated as labels by the formula, including numbers within ``C()``.
    """

    formula: Formula
    names: list[str]
    products: dict[str, list[str]]
    labelled: set[str]
    spec: Any
    columns: dict[str, str]  # internal names of covariates
    context: dict[str, str]  # labels of the formula by internal name
    words: dict[str, str]  # the user's wording by internal name

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """The design of other samples.

        Raises
        ------
        InputError
            A covariate has labels unseen by the fit, or values of another type.
        """
        from formulaic.errors import DataMismatchWarning, FormulaicError

        renamed = table[list(self.formula.columns)].rename(columns=self.columns)
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)
            try:
                values = self.spec.get_model_matrix(renamed, context=self.context)
            except DataMismatchWarning as unseen:
                labels = re.search(r"\{.*\}", str(unseen), re.DOTALL)
                raise InputError(
                    "new_covariates",
                    "must not have labels that are absent from the fit",
                    found=labels[0] if labels else str(unseen),
                ) from None
            except (FormulaicError, ValueError, TypeError) as error:
                raise InputError(
                    "new_covariates",
                    "must have the types of the fit's covariates",
                    found=_said(error, self.words),
                ) from None
        return _design(values, self.names)


def evaluate(formula: Formula, table: pd.DataFrame) -> tuple[pd.DataFrame, Evaluated]:
    """The design of a formula, without the intercept's column.

    Raises
    ------
    InputError
        A function cannot be evaluated (such as the logarithm of labels), or two design columns
        have the same name.
    """
    from formulaic import Formula as Engine
    from formulaic import model_matrix
    from formulaic.errors import FormulaicError
    from formulaic.parser.types import Factor, Term

    used = formula.columns
    mark = _mark(table[used])
    columns = {name: f"{mark}{number}_" for number, name in enumerate(used)}
    texts = {text: f"{mark}text{number}" for number, text in enumerate(formula.texts)}
    context = {own: text for text, own in texts.items()}
    words = _words(formula, columns, texts)
    terms = [Term([Factor("1", eval_method="literal")])]
    for term in formula.terms:
        terms.append(
            Term(
                [
                    Factor(
                        render(factor, columns, texts),
                        eval_method="lookup" if isinstance(factor, Column) else "python",
                    )
                    for factor in term
                ]
            )
        )
    try:
        matrix = model_matrix(
            Engine(terms), table[used].rename(columns=columns), context=context, na_action="raise"
        )
    except (FormulaicError, SyntaxError, ValueError, TypeError, ArithmeticError) as error:
        raise InputError("formula", "cannot be evaluated", found=_said(error, words)) from None
    spec = matrix.model_spec
    engine = [str(name) for name in matrix.columns if str(name) != "Intercept"]
    names = [_shown(name, words) for name in engine]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            "formula",
            "must lead to unique names of the design columns",
            found=f"duplicate {checks.some(twice)}",
            fix="rename covariates whose names look like terms",
        )
    readable = dict(zip(engine, names, strict=True))
    back = {own: name for name, own in columns.items()}
    kinds = {str(factor): str(state[0].value) for factor, state in spec.encoder_state.items()}
    labelled = {
        back[str(name)]
        for factor, variables in spec.factor_variables.items()
        if kinds.get(str(factor)) == "categorical"
        for name in variables
        if str(name) in back
    }
    products = _products(spec, readable)
    found = Evaluated(formula, names, products, labelled, spec, columns, context, words)
    return _design(matrix, names), found


def _design(matrix: Any, names: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(matrix).drop(columns="Intercept", errors="ignore").astype(float)
    return frame.set_axis(names, axis=1)


def _mark(table: pd.DataFrame) -> str:
    """Prefix of internal names: letters that do not occur in any label of the table."""
    labels: set[str] = set()
    for _, column in table.items():
        if not pd.api.types.is_numeric_dtype(column):
            labels.update(map(str, column.unique()))
    mark = "bdv"
    while any(mark in label for label in labels):
        mark += "v"
    return mark


def _words(formula: Formula, columns: dict[str, str], texts: dict[str, str]) -> dict[str, str]:
    """The user's wording by internal name."""
    words = {name: value for value, name in columns.items()}
    words |= {name: repr(value) for value, name in texts.items()}
    for term in formula.terms:
        words |= {render(factor, columns, texts): show(factor) for factor in term}
    return words


def _shown(text: str, words: dict[str, str]) -> str:
    """The engine's text with internal names translated back."""
    longest = sorted(words, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest)), lambda match: words[match[0]], text)


def _said(error: Exception, words: dict[str, str]) -> str:
    """The first line of an error from the engine, in the user's wording."""
    return _shown(str(error).strip().split("\n")[0].rstrip("."), words)


def _products(spec: Any, readable: dict[str, str]) -> dict[str, list[str]]:
    """Columns that are products of other design columns, from the engine's record of terms."""
    single: dict[str, list[str]] = {}
    for term in spec.structure:
        if len(term.term.factors) == 1:
            single[term.term.factors[0].expr] = [str(name) for name in term.columns]
    found: dict[str, list[str]] = {}
    for term in spec.structure:
        exprs = [factor.expr for factor in term.term.factors]
        if len(exprs) < 2 or any(expr not in single for expr in exprs):
            continue
        made: dict[str, list[str]] = {"": []}
        for expr in exprs:
            made = {
                f"{before}:{name}" if before else name: [*parts, name]
                for before, parts in made.items()
                for name in single[expr]
            }
        for name in map(str, term.columns):
            if name in made:
                found[readable[name]] = [readable[part] for part in made[name]]
    return found
