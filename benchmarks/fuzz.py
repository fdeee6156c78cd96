"""Fuzzing of every reader: python benchmarks/fuzz.py [--seconds 600] [--seed 0] [--only fcs]

Valid files are damaged at random (bits, lengths, numbers, quotes, truncation). A reader has to read
the file or raise an `InputError`; anything else, and anything that takes 20 seconds, is written to
``fuzz-failures/`` with the bytes that did it.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.malformed.fuzz import attack, readers

_MEMORY = 8 << 30  # a promise of more is an error, not the end of the machine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    folder = Path(tempfile.mkdtemp())
    found = 0
    for name, reader in readers(folder).items():
        if options.only and name not in options.only:
            continue
        rng = np.random.default_rng([options.seed, *name.encode()])
        tries, failures = attack(reader, folder, rng, seconds=options.seconds)
        print(f"{name:14s} {tries:8d} files, {len(failures)} failures", flush=True)
        found += len(failures)
        for number, (what, content) in enumerate(failures.items()):
            print(f"    {what}", flush=True)
            place = Path("fuzz-failures")
            place.mkdir(exist_ok=True)
            bad = f"{name.replace(' ', '-').replace('/', '-')}-{number}{reader.suffix}"
            (place / bad).write_bytes(content)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
