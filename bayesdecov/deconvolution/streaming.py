"""Cohorts of any size: shards are fitted, kept on disk and joined; killed runs can resume.

Memory holds one shard. A sample's result does not depend on the size of shards, the number of
workers or interruptions: its random stream is determined by its number in the cohort.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bayesdecov import checks
from bayesdecov._version import __version__
from bayesdecov.deconvolution.elsewhere import Stage
from bayesdecov.deconvolution.fitted import GENE_SHIFTS, MRNA_FRACTIONS
from bayesdecov.deconvolution.options import DeconvolutionRequest
from bayesdecov.deconvolution.run import as_reference, run, stage_of
from bayesdecov.deconvolution.shards import shard_size as block_of
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.io.blocks import Blocks
from bayesdecov.io.files import hidden, real
from bayesdecov.io.netcdf import concatenate
from bayesdecov.io.outputs import claimed, whole_folder
from bayesdecov.io.records import checksum, not_ours, read_record, write_json
from bayesdecov.options import Elsewhere, Sampling, moved_into
from bayesdecov.platform.samples import BLOCK
from bayesdecov.progress import track
from bayesdecov.reference.reference import Reference

SHARD = 1024  # samples
_SAME = (
    "scale",
    "noise",
    "size_factor",
    "df",
    "platform",
    "level_sd",
    "alignment",
)  # decided for every shard, and must agree
_TABLES = ("proportions.csv", "intervals.csv", "diagnostics.csv")


@moved_into(sampling=Sampling, platform=Elsewhere)
def deconvolve_to(
    folder: str | Path,
    bulk: Any,
    reference: Any,
    method: str = "laplace",
    *,
    shard_size: int = SHARD,
    prob: float = 0.95,
    force: bool = False,
    inputs: Mapping[str, Path] | None = None,
    arguments: Sequence[str] = (),
    **options: Any,
) -> Path:
    """Deconvolve a cohort of any size into a folder, shard by shard.

    The folder has the content that ``deconvolve(...).write(folder)`` writes, and appears when the
    run is complete. Until then finished shards are kept in a hidden folder beside it, from which
    the same call resumes after an interruption. `contrast`, `fastmix`, `report` and `compare` read
    the folder.

    Parameters
    ----------
    folder
        Output folder.
    bulk
        As in `deconvolve`. An AnnData that is backed by its file, or the path of an .h5ad, is read
        shard by shard; other tables are in memory as a whole.
    reference, method, options
        As in `deconvolve`. ``calibrate`` and ``other`` learn from the whole cohort and cannot be
        used. Without a ``seed`` it is derived from the input, so that the run can resume.
    shard_size
        Samples in memory at a time; rounded up to a multiple of the samples fitted together.
    prob
        Probability of the intervals.
    force
        Replace the folder of an earlier run.
    inputs, arguments
        Files and command line, for ``run.json``.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        As `deconvolve`; or parts of the cohort are on different scales.

    Examples
    --------
    >>> import tempfile
    >>> import bayesdecov as bd
    >>> from bayesdecov.deconvolution.streaming import deconvolve_to
    >>> cohort = bd.simulate.convolution(n_samples=70, n_genes=60, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    >>> place = tempfile.mkdtemp()
    >>> out = deconvolve_to(f"{place}/run", cohort.bulk, reference, "map", shard_size=50)
    >>> sorted(path.name for path in out.iterdir())[:3]
    ['diagnostics.csv', 'gene_shifts.csv', 'intervals.csv']
    """
    folder = Path(folder)
    chosen = DeconvolutionRequest(method=method, **options)
    for name in ("calibrate", "other"):
        if getattr(chosen, name):
            raise InputError(
                name,
                "needs the whole cohort, which is never in memory here",
                fix="use deconvolve(), or the command without --shard-size",
            )
    checks.check_whole(shard_size, "shard_size")
    prob = checks.check_probability(prob, "prob")
    with claimed(folder, force=force, inputs=(inputs or {}).values()):
        known = as_reference(reference, chosen.assume_linear)
        blocks = bulk if isinstance(bulk, Blocks) else Blocks(bulk, "bulk")
        if isinstance(chosen.seed, np.random.Generator):
            chosen = replace(chosen, seed=int(chosen.seed.integers(2**31)))
        content = _fingerprint(blocks, known, chosen)  # reads the whole input, so once
        if chosen.seed is None:
            chosen = replace(chosen, seed=int(content[:12], 16))
        stream = int(checks.make_generator(chosen.seed).integers(2**62))
        block = max(block_of(method, len(known.genes)), BLOCK)  # a multiple of it but for nuts
        size = -(-shard_size // block) * block
        mark = hashlib.sha256(f"{content} {size} {prob}".encode()).hexdigest()
        work = hidden(real(folder), f"shards-{mark[:12]}")
        starts = list(range(0, blocks.n_samples, size))
        stops = [min(start + size, blocks.n_samples) for start in starts]
        done = _shards(
            work, blocks, known, chosen, stream, prob, list(zip(starts, stops, strict=True))
        )
        sizes = [stop - start for start, stop in zip(starts, stops, strict=True)]
        show = chosen.progress
        if show is None:
            show = len(starts) > 1 and sys.stderr.isatty()
        try:
            parts = list(track(done, sizes, "Deconvolving", show=show, unit="samples"))
        except InputError:  # the same call would fail here again
            shutil.rmtree(work, ignore_errors=True)
            raise
        with whole_folder(folder, force=force) as partial:
            _join(parts, partial, inputs or {}, arguments)
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _shards(
    work: Path,
    blocks: Blocks,
    reference: Reference,
    request: DeconvolutionRequest,
    stream: int,
    prob: float,
    spans: list[tuple[int, int]],
) -> Iterator[Path]:
    """Folders of all shards in order; existing ones are kept."""
    decided: dict[str, Any] = {}
    stage: Stage | None = None
    for number, (start, stop) in enumerate(spans):
        part = work / f"{number:06d}"
        if not _whole(part):
            shutil.rmtree(part, ignore_errors=True)
            if stage is None:
                stage = stage_of(blocks, reference, request)
            with warnings.catch_warnings():
                if number:  # warn once; notes are in run.json
                    warnings.simplefilter("ignore", BayesdecovWarning)
                fit = run(
                    blocks.take(start, stop),
                    reference,
                    replace(request, progress=False),
                    stream=stream,
                    first=start,
                    known=stage,
                )
            with whole_folder(part) as partial:
                samples = blocks.n_samples if len(spans) > 1 else stop - start
                posterior = fit.to_inference_data(samples=samples)
                fit.fill(partial, prob=prob, posterior=posterior)
        settings = read_record(part)["settings"]
        found = {name: settings[name] for name in _SAME}
        decided = decided or found
        for name in _SAME:
            if found[name] != decided[name]:
                raise InputError(
                    "bulk",
                    f"samples {start + 1} to {stop} differ from the preceding ones in {name!r}",
                    found=f"{found[name]!r} after {decided[name]!r}",
                    fix="bring all samples to one scale",
                )
        yield part


def _whole(part: Path) -> bool:
    """Whether a shard exists unchanged."""
    try:
        return part.is_dir() and not not_ours(part)
    except InputError:
        return False


def _join(
    parts: list[Path], folder: Path, inputs: Mapping[str, Path], arguments: Sequence[str]
) -> None:
    """The folder of the whole run from those of its shards."""
    fractions = (MRNA_FRACTIONS,) if (parts[0] / MRNA_FRACTIONS).is_file() else ()
    for name in (*_TABLES, *fractions):
        with (folder / name).open("w", encoding="utf-8", newline="") as whole:
            for number, part in enumerate(parts):
                with (part / name).open(encoding="utf-8", newline="") as lines:
                    header = next(lines)
                    if number == 0:
                        whole.write(header)
                    shutil.copyfileobj(lines, whole)
    if (parts[0] / GENE_SHIFTS).is_file():  # of the whole cohort, the same in every part
        shutil.copyfile(parts[0] / GENE_SHIFTS, folder / GENE_SHIFTS)
    concatenate([part / "posterior.nc" for part in parts], folder / "posterior.nc", "sample")
    records = [read_record(part) for part in parts]
    record = {
        key: value for key, value in records[0].items() if key not in ("format", "files", "digest")
    }
    record["warnings"] = list(dict.fromkeys(line for each in records for line in each["warnings"]))
    seconds = sum(float(each["settings"]["seconds"]) for each in records)
    record["settings"] |= {"seconds": round(seconds, 3), "shards": len(parts)}
    record["timings"] = {"seconds": round(seconds, 3)}
    record["inputs"] = {
        name: {"path": str(path), "sha256": checksum(path)} for name, path in inputs.items()
    }
    record["arguments"] = list(arguments)
    write_json(record, folder / "run.json")


def _fingerprint(blocks: Blocks, reference: Reference, request: DeconvolutionRequest) -> str:
    """A digest of everything that determines the results."""
    digest = hashlib.sha256(__version__.encode())
    digest.update(repr(replace(request, n_jobs=1, progress=None)).encode())
    for names in (blocks.columns, blocks.index, reference.genes, reference.cell_types):
        digest.update("\n".join(map(str, names)).encode())
    if reference.mrna_per_cell is not None:
        digest.update(reference.mrna_per_cell.to_json().encode())
    covariance = vars(reference.covariance)
    arrays = [reference.mean.to_numpy(), *(covariance[name] for name in sorted(covariance))]
    for array in arrays:
        if array is not None:
            digest.update(np.ascontiguousarray(array).tobytes())
    blocks.digest(digest)
    return digest.hexdigest()
