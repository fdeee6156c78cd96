"""Fuzzing of every reader: python benchmarks/fuzz.py [--seconds 600] [--seed 0] [--only fcs]

Valid files are damaged at random (bits, lengths, numbers, quotes, truncation). A reader has to read
the file or raise an `InputError`; anything else, a crash of the interpreter, and anything that
takes 60 seconds, is written to ``fuzz-failures/`` with the bytes that did it. Every reader runs in
a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.malformed.fuzz import attack, readers

_MEMORY = 8 << 30  # a promise of more is an error, not the end of the machine
_HANG = 60  # seconds


def work(name: str, folder: Path, seed: list[int], seconds: float, results: Any) -> None:
    """One reader, in a process of its own."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    reader = readers(folder)[name]
    results.put("ready")
    results.put(attack(reader, folder, np.random.default_rng(seed), seconds=seconds))


def fuzzed(
    name: str, folder: Path, seed: list[int], seconds: float
) -> tuple[int, dict[str, bytes]]:
    """Tries and failures; after a crash or a hang the rest of the time is used with other seeds."""
    context = multiprocessing.get_context("spawn")
    tries, failures, until = 0, {}, 0.0
    for attempt in range(100):
        results = context.Queue()
        left = seconds if attempt == 0 else until - time.monotonic()
        process = context.Process(target=work, args=(name, folder, [*seed, attempt], left, results))
        process.start()
        results.get(timeout=300)
        until = until or time.monotonic() + seconds
        path = next(iter([*folder.glob("damaged*"), folder / "damaged"]))
        found, why = None, ""
        while found is None and not why:
            try:
                found = results.get(timeout=2)
            except queue.Empty:
                path = next(iter([*folder.glob("damaged*"), path]))
                if not process.is_alive():
                    why = f"the interpreter crashed (exit status {process.exitcode})"
                elif path.exists() and time.time() - path.stat().st_mtime > _HANG:
                    why = "the reader hangs"
        if found is not None:
            process.join()
            return tries + found[0], failures | found[1]
        process.kill()
        process.join()
        failures[f"{why}, number {attempt}"] = path.read_bytes()
        if time.monotonic() > until - 2:
            break
    return tries, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+")
    options = parser.parse_args()
    found = 0
    for name, reader in readers(Path(tempfile.mkdtemp())).items():
        if options.only and name not in options.only:
            continue
        folder = Path(tempfile.mkdtemp())
        tries, failures = fuzzed(name, folder, [options.seed, *name.encode()], options.seconds)
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
