"""`report`: one HTML file from a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bayesdecov.errors import InputError
from bayesdecov.io.files import check_place, whole_files
from bayesdecov.io.records import register
from bayesdecov.reporting.page import page
from bayesdecov.results.run import EFFECTS, GATING, PROPORTIONS, Run, run_of, usable

_GENERATOR = b'<meta name="generator" content="bayesdecov">'


def report(fit: Any, path: str | Path = "report.html", *, force: bool = False) -> Path:
    """Write a diagnostics report: one HTML file that needs no network and no other file.

    The verdict comes first, then data and reference, proportions with intervals, maximum likelihood
    and posterior, the model with its priors, chains, predictive checks, samples that the reference
    does not explain, genes that fit poorly, settings, versions, a methods paragraph and citations.

    Parameters
    ----------
    fit
        The result of `deconvolve`, `fastmix` or `gate`, or the folder of a finished run.
    path
        The file to write.
    force
        Replace an existing report.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        The run is incomplete, or the file exists.

    Examples
    --------
    >>> import tempfile
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.convolution(n_samples=4, n_genes=40, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    >>> fit = bd.deconvolve(cohort.bulk, reference, "laplace", seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bd.report(fit, folder + "/report.html").name
    'report.html'
    """
    path = Path(path)
    check_target(path, force=force)
    text = render(run_of(fit))
    with whole_files(path) as (partial,):
        partial.write_text(text, encoding="utf-8")
    register(path)
    return path


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a target that cannot be written or exists, before any work is done."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError("out", "must be an .html file", found=repr(str(path)))
    if path.is_dir():
        raise InputError("out", f"{str(path)!r} is a folder")
    if path.exists() and not force:
        raise InputError(
            "out",
            f"the file {str(path)!r} exists",
            fix="choose another or add --force (force=True)",
        )
    if path.exists() and not _is_ours(path):
        raise InputError(
            "out",
            f"{str(path)!r} is not a report, so it is not overwritten",
            fix="choose another name",
        )
    check_place(path)


def _is_ours(path: Path) -> bool:
    """Whether a file is a page that bayesdecov wrote."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _GENERATOR in file.read(4096)


def render(run: Run) -> str:
    """The page as text."""
    from bayesdecov.reporting import effects, gating, proportions

    kind = {PROPORTIONS: proportions, EFFECTS: effects, GATING: gating}[run.command]
    with usable(run):
        return page(f"{run.name}: {run.method}", run.record, kind.content(run))
