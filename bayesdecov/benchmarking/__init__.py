"""Comparison of methods on problems with a known truth: simulated, real, or the user's own."""

from bayesdecov.benchmarking.benchmark import benchmark
from bayesdecov.benchmarking.case import Case
from bayesdecov.benchmarking.result import Benchmark
from bayesdecov.benchmarking.scenarios import SCENARIOS

__all__ = ["SCENARIOS", "Benchmark", "Case", "benchmark"]
