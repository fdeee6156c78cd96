"""Data sets: the simulated one, and the real one with its labels mended."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.demo import score
from bayesdecov.errors import InputError
from bayesdecov.io.tables import read_table


def test_demo_is_the_same_every_time():
    one, other = bd.datasets.load("demo"), bd.datasets.load("demo")
    assert one.bulk.equals(other.bulk)
    assert one.bulk.shape == (500, 40)
    assert one.labels.value_counts().eq(8).all()
    assert "SIMULATED" in one.description


def test_unknown_names_and_missing_networks_are_told(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="must be one of 'demo', 'sc_mixology'"):
        bd.datasets.load("tcga")
    monkeypatch.delenv("BAYESDECOV_DATA", raising=False)
    with pytest.raises(InputError, match="BAYESDECOV_DATA"):
        bd.datasets.load("sc_mixology")
    monkeypatch.setenv("BAYESDECOV_DATA", str(tmp_path))
    (tmp_path / "RNAmix_celseq2.count.csv.gz").write_bytes(b"something else")
    with pytest.raises(InputError, match="is not the published file"):
        bd.datasets.load("sc_mixology")


@pytest.fixture(scope="module")
def mixology(real_data):
    return bd.datasets.load("sc_mixology")


@pytest.mark.real_data
def test_labels_are_mended(mixology, real_data):
    assert mixology.bulk.shape == (14804, 205)
    assert "L19" not in mixology.bulk
    assert mixology.labels.value_counts().to_dict() == {"H1975": 45, "HCC827": 45, "H2228": 44}
    corrected = read_table(real_data / "sc_mixology" / "proportions_design.csv").astype(float)
    expected = corrected.loc[mixology.proportions.index, mixology.proportions.columns]
    np.testing.assert_allclose(mixology.proportions, expected, atol=0.005)
    # with the swap mended, genes that mark a pure line rise with that line's proportion
    rates = mixology.bulk / mixology.bulk.sum()
    pure = (mixology.purified / mixology.purified.sum()).T.groupby(mixology.labels).mean().T
    for line in mixology.proportions:
        contrast = pure[line] - pure.drop(columns=line).max(axis=1)
        markers = rates.loc[contrast.nlargest(30).index].sum()
        assert mixology.proportions.corrwith(markers).idxmax() == line


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("covariance", "genes"), [("glasso", 90), ("glasso", 150), ("factor", 90), ("factor", 450)]
)
def test_the_model_beats_nnls_on_real_mixtures(mixology, covariance, genes):
    reference = bd.Reference.from_samples(
        mixology.purified, mixology.labels, covariance, genes=genes
    )
    fits = {m: bd.deconvolve(mixology.bulk, reference, m) for m in ("map", "nnls")}
    scores = score(fits, mixology.proportions).set_index("method")
    assert scores.loc["map", "rmse"] < 0.8 * scores.loc["nnls", "rmse"]
    assert fits["map"].diagnostics["converged"].all()


def test_abis_is_read_from_a_folder_only(monkeypatch, tmp_path):
    monkeypatch.setenv("BAYESDECOV_DATA", str(tmp_path))
    assert not bd.datasets.present("abis_pbmc")
    with pytest.raises(InputError, match="granulator"):
        bd.datasets.load("abis_pbmc")
    assert bd.datasets.present("demo")


@pytest.mark.real_data
def test_abis(real_data):
    assert bd.datasets.present("abis_pbmc")
    data = bd.datasets.load("abis_pbmc")
    assert data.bulk.shape == (1296, 12)
    assert data.signature.shape == (1296, 17)
    assert list(data.proportions.columns) == list(data.signature.columns)
    # disjoint types, nearly all of PBMC
    assert data.proportions.sum(axis=1).between(0.9, 1).all()
    fit = bd.deconvolve(data.bulk, bd.Reference.from_signature(data.signature), "nnls")
    truth = data.proportions.div(data.proportions.sum(axis=1), axis=0)
    error = fit.proportions - truth.loc[fit.proportions.index]
    # the data's own record: plain NNLS, normalised, rmse .0315 against the truth as measured
    raw = fit.proportions - data.proportions.loc[fit.proportions.index]
    assert np.sqrt((raw.to_numpy() ** 2).mean()) == pytest.approx(0.0315, abs=0.0002)
    assert np.sqrt((error.to_numpy() ** 2).mean()) == pytest.approx(0.031, abs=0.001)
