"""Descriptions of zarr arrays: the codecs that they name."""

from __future__ import annotations

import pytest

from bayesdecov.io import zarr_store as module


@pytest.mark.parametrize(("described", "codecs"), [
    ({"codecs": [{"name": "bytes"}, {"name": "zstd"}]}, ["bytes", "zstd"]),
    ({"codecs": [{"name": "sharding_indexed", "configuration": {
        "codecs": [{"name": "bytes"}], "index_codecs": [{"name": "crc32c"}]}}]},
     ["bytes", "crc32c", "sharding_indexed"]),
    ({"compressor": {"id": "blosc", "cname": "lz4"}, "filters": [{"id": "vlen-utf8"}]},
     ["blosc", "vlen-utf8"]),
    ({"compressor": None, "filters": None}, []),
    ({"metadata": {"X/.zarray": {"compressor": {"id": "pickle"}}}}, ["pickle"]),
    ({"attributes": {"name": "pickle", "id": "pickle"}, "id": "pickle"}, []),
])  # fmt: skip
def test_codecs_of_a_description(described, codecs):
    assert sorted(module._codecs(described)) == codecs
