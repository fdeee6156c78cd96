"""Everything that is measured, from one place.

    python benchmarks [NAME ...] [--quick] [--out FOLDER]

Without names all of it runs (hours). ``--list`` says what there is and how long it takes,
``--quick`` runs each at its smallest (some have one size), to see that it works. What a benchmark
prints goes to the terminal and to ``FOLDER/NAME.txt``; tables and pictures that it writes go into
FOLDER, too.
``python benchmarks speed --out docs/benchmarks`` makes the page of the documentation anew.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent


class Benchmark(NamedTuple):
    """Minutes of the full run, and arguments of the full and of the quick run."""

    minutes: float
    full: str = ""
    quick: str = ""
    writes: bool = False  # takes --out FOLDER


SUITE = {
    "speed": Benchmark(15, "", "--quick", writes=True),
    "convolution": Benchmark(1),
    "posteriors": Benchmark(3),
    "scale": Benchmark(15, "", "deconvolve --samples 40", writes=True),
    "mixed_effects": Benchmark(10, "--replicates 20", "--replicates 1 --only speed"),
    "uncertain_proportions": Benchmark(60, "--replicates 20", "--replicates 1 --only accuracy"),
    "calibrated_intervals": Benchmark(60, "--replicates 6", "--replicates 1"),
    "contrast": Benchmark(60, "50", "2"),
    "unknown_content": Benchmark(90, "--replicates 8", "--replicates 1", writes=True),
    "gating": Benchmark(15, "150", "5"),
    "real_mixtures": Benchmark(5),
    "kills": Benchmark(25, "--kills 50", "--kills 3"),
    "fuzz": Benchmark(150, "--seconds 600", "--seconds 5"),
}


def about(name: str) -> str:
    """First line of a script's docstring, without how to call it."""
    line = (HERE / f"{name}.py").read_text(encoding="utf-8").split('"""')[1].split("\n")[0]
    return line.split(": python")[0].split(": ``python")[0].rstrip(".")


def run(name: str, benchmark: Benchmark, *, quick: bool, out: Path | None) -> int:
    """Run one, its output also into a file; the exit status."""
    command = [sys.executable, "-u", str(HERE / f"{name}.py")]
    command += (benchmark.quick if quick else benchmark.full).split()
    if out is not None and benchmark.writes:
        command += ["--out", str(out)]
    print(f"\n=== {name}: {about(name)}", flush=True)
    started = time.perf_counter()
    record = [" ".join(["python", f"benchmarks/{name}.py", *command[3:]]), ""]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            record.append(line.rstrip())
    print(
        f"=== {name}: {(time.perf_counter() - started) / 60:.1f} minutes, exit status "
        f"{process.returncode}",
        flush=True,
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{name}.txt").write_text("\n".join(record) + "\n", encoding="utf-8")
    return process.returncode


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="one of --list; all without")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--quick", action="store_true", help="smallest sizes")
    parser.add_argument("--out", type=Path, help="folder for what is printed and written")
    options = parser.parse_args()
    unknown = set(options.names) - set(SUITE)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SUITE)}")
    if options.list:
        for name, benchmark in SUITE.items():
            print(f"{name:22s} {benchmark.minutes:4.0f} min  {about(name)}")
        return 0
    failed = [
        name
        for name in options.names or SUITE
        if run(name, SUITE[name], quick=options.quick, out=options.out)
    ]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
