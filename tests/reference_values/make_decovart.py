"""Pack part of the DeCovarT golden numbers for the tests: python make_decovart.py GOLDENS

Source: DeCovarT 0.0.0.9000 in R 4.2.2 (simulated bulks, log-likelihood with derivatives checked
against numDeriv) and an independent one-dimensional maximisation of Eq. 8 and of the Gaussian
likelihood. The first 25 of 500 samples of every bivariate configuration are kept, and the whole
case with four cell types and thirty genes.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

KEPT = 25


def main(goldens: Path) -> None:
    """Write the two npz files beside this script."""
    here = Path(__file__).parent
    source = goldens / "decovart"
    configs = pd.read_csv(source / "bivariate_configs.csv")
    bulks = pd.read_csv(source / "bivariate_estimates.csv.gz")
    maxima = pd.read_csv(source / "bivariate_argmax_python.csv.gz")
    first = bulks["sample"] <= KEPT
    shape = (len(configs), KEPT)
    np.savez_compressed(
        here / "decovart_bivariate.npz",
        rho=configs[["rho1", "rho2"]].to_numpy(),
        near=(configs["centroid"] == "near").to_numpy(),
        y=bulks.loc[first, ["y1", "y2"]].to_numpy().reshape(*shape, 2),
        lsei=bulks.loc[first, "p1_lsei"].to_numpy().reshape(shape),
        eq8=maxima.loc[first, "p1_eq8_global"].to_numpy().reshape(shape),
        mle=maxima.loc[first, "p1_mle_global"].to_numpy().reshape(shape),
    )
    case = source / "J4_G30"
    mu = pd.read_csv(case / "X.csv", index_col=0).to_numpy()
    points = json.loads((case / "loglik_derivatives.json").read_text())
    np.savez_compressed(
        here / "decovart_J4_G30.npz",
        mu=mu,
        Sigma=pd.read_csv(case / "Sigma_stacked.csv.gz", header=None).to_numpy().reshape(4, 30, 30),
        Y=pd.read_csv(case / "Y.csv").to_numpy(),
        eq8=pd.read_csv(case / "estimates_allfixed.csv").to_numpy(),
        nnls=pd.read_csv(case / "estimates_nnls.csv").to_numpy()[:, :4],
        lsei=pd.read_csv(case / "estimates_lsei.csv").to_numpy()[:, :4],
        ols=pd.read_csv(case / "estimates_ols.csv").to_numpy()[:, :4],
        **{
            name: np.array([point[name] for point in points])
            for name in (
                "p",
                "theta",
                "loglik",
                "grad_p",
                "hess_p_correct",
                "jac_correct",
                "grad_theta_correct",
                "hess_theta_correct",
            )
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
