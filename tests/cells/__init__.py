"""Tests of `bayesdecov.cells`."""
