"""Methods compared on problems with a known truth: simulated scenarios, real data, your own."""

from bayesdecov.benchmarking.benchmark import benchmark
from bayesdecov.benchmarking.case import Case
from bayesdecov.benchmarking.result import Benchmark
from bayesdecov.benchmarking.scenarios import SCENARIOS

__all__ = ["SCENARIOS", "Benchmark", "Case", "benchmark"]
