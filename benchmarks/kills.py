"""Commands killed, and disks full, at random moments: is anything half-written or lost?

    python benchmarks/kills.py [--kills 50] [--disks 20] [--seed 0]

``deconvolve`` (in shards), ``fastmix`` and ``gate`` are started on simulated data and killed with
SIGKILL after a random part of the time that a whole run takes. The output folder has to be absent
or whole; a second start has to finish, and what it writes has to be what an undisturbed run writes.

Then the commands write over an earlier output (``--force``) on a file system of random size that
holds somebody else's file too (tmpfs, which needs root; otherwise files of random size at most).
A run has to end well, or with status 1 and one line while the earlier output is as it was.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

import bayesdecov as bd

_VARYING = {"run.json", "plots"}  # seconds and paths; pictures are not data


def prepare(folder: Path) -> dict[str, list[str]]:
    """Inputs and command lines."""
    cohort = bd.simulate.tissue(256, 1600, seed=1)  # eight shards of 32
    cohort.bulk.to_csv(folder / "bulk.csv")
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=None)
    reference.save(folder / "reference.nc")
    effects = bd.simulate.fastmix("III", n_genes=2000, n_samples=60, seed=1)
    for name in ("expression", "proportions", "covariates"):
        getattr(effects, name).to_csv(folder / f"{name}.csv")
    bd.simulate.cytometry(2, 4000, seed=1).write(folder)
    bd.gating.write_hierarchy(bd.simulate.blood_hierarchy(k=60), folder / "gates.toml")
    commands = {
        "deconvolve": ["bulk.csv", "--reference", "reference.nc", "--method", "laplace",
                       "--draws", "200", "--max-pareto-k", "inf", "--shard-size", "32"],
        "fastmix": ["expression.csv", "--proportions", "proportions.csv", "--covariates",
                    "covariates.csv", "--method", "mixture", "--no-plots"],
        "gate": ["donor01.fcs", "donor02.fcs", "--hierarchy", "gates.toml", "--no-plots"],
    }  # fmt: skip
    start = [sys.executable, "-m", "bayesdecov.cli"]
    return {
        name: [*start, name, *(str(folder / a) if (folder / a).exists() else a for a in arguments)]
        for name, arguments in commands.items()
    }


def digests(folder: Path) -> dict[str, str]:
    """Checksums of all results; of netCDF files the values, because HDF5 keeps times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or name.split("/")[0] in _VARYING:
            continue
        digest = hashlib.sha256()
        if path.suffix == ".nc":
            for group, data in xr.open_groups(path, engine="h5netcdf").items():
                for key in sorted(map(str, data.variables)):
                    digest.update(f"{group}{key}{data[key].to_numpy().tolist()}".encode())
                data.close()
        else:
            digest.update(path.read_bytes())
        found[name] = digest.hexdigest()
    return found


def left_over(place: Path, out: Path) -> list[str]:
    """What a user would see beside the output."""
    return [path.name for path in place.iterdir() if path != out and not path.name.startswith(".")]


@contextlib.contextmanager
def disk(size: int) -> Iterator[Path]:
    """A small file system; where it cannot be made, a folder."""
    place = Path(tempfile.mkdtemp())
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)],
                          capture_output=True, check=False).returncode == 0  # fmt: skip
    try:
        yield place
    finally:
        if made:
            subprocess.run(["umount", "-l", str(place)], check=True)
        shutil.rmtree(place, ignore_errors=True)


def full_disks(
    commands: dict[str, list[str]], outputs: Path, number: int, rng: np.random.Generator
) -> dict[str, int]:
    """Runs over an earlier output on disks that are full sooner or later."""
    counts = {"disks": 0, "enough": 0, "full": 0, "old output lost": 0, "others' files lost": 0,
              "status": 0, "more than one line": 0, "left behind": 0}  # fmt: skip
    for i in range(number):
        name = list(commands)[i % len(commands)]
        size = sum(path.stat().st_size for path in (outputs / name).rglob("*") if path.is_file())
        counts["disks"] += 1
        with disk(int(size * (1.05 + rng.uniform(0, 1.1))) + 65536) as place:
            shutil.copytree(outputs / name, place / "out")
            before = digests(place / "out")
            (place / "thesis.docx").write_text("years of work")
            done = subprocess.run(
                [*commands[name], "--out", str(place / "out"), "--force"],
                capture_output=True,
                text=True,
                check=False,
            )
            errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
            if done.returncode == 0:
                counts["enough"] += 1
            else:
                counts["full"] += 1
                counts["status"] += done.returncode != 1
                counts["more than one line"] += len(errors) != 1 or "Traceback" in done.stderr
            counts["old output lost"] += digests(place / "out") != before
            lost = not (place / "thesis.docx").exists()
            counts["others' files lost"] += lost
            rest = {p.name for p in place.iterdir()} - {"out", "thesis.docx"}
            counts["left behind"] += any(".shards-" not in p for p in rest)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--disks", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    place = Path(tempfile.mkdtemp())
    commands = prepare(place)
    expected, seconds = {}, {}
    for name, command in commands.items():
        started = time.perf_counter()
        subprocess.run([*command, "--out", str(place / name)], check=True, capture_output=True)
        seconds[name] = time.perf_counter() - started
        expected[name] = digests(place / name)
    work = place / "work"
    counts = {"killed": 0, "finished before": 0, "half-written": 0, "not whole": 0,
              "second start failed": 0, "other bytes": 0, "went on from shards": 0}  # fmt: skip
    names = list(commands)
    number = 0
    while counts["killed"] < options.kills:
        name = names[number % len(names)]
        number += 1
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        out = work / "out"
        silent = subprocess.DEVNULL
        process = subprocess.Popen(
            [*commands[name], "--out", str(out)], stdout=silent, stderr=silent
        )
        try:
            process.wait(seconds[name] * rng.uniform(0.3, 1.2))
            counts["finished before"] += 1
            continue
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        counts["killed"] += 1
        counts["half-written"] += bool(left_over(work, out))
        if out.exists():  # killed after the end
            counts["not whole"] += digests(out) != expected[name]
            shutil.rmtree(out)
        counts["went on from shards"] += any(work.glob(".out.shards-*/*/run.json"))
        again = subprocess.run([*commands[name], "--out", str(out)], capture_output=True)
        counts["second start failed"] += again.returncode != 0
        counts["other bytes"] += not out.exists() or digests(out) != expected[name]
    print(json.dumps(counts, indent=2))
    disks = full_disks(commands, place, options.disks, rng)
    print(json.dumps(disks, indent=2))
    shutil.rmtree(place)
    wrong = ("old output lost", "others' files lost", "status", "more than one line", "left behind")
    bad = ("half-written", "not whole", "second start failed", "other bytes")
    return int(any(counts[name] for name in bad) or any(disks[name] for name in wrong))


if __name__ == "__main__":
    sys.exit(main())
