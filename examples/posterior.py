"""From proportions to a posterior, its diagnostics and a report.

python examples/posterior.py [DRAWS]
"""

import sys

import arviz as az

import bayesdecov as bd

cohort = bd.simulate.convolution(n_samples=8, n_genes=80, n_types=4, depth=1e5, seed=1)
reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "factor", genes=60)


def main(draws: int) -> None:
    # The maximum of the likelihood, an approximation, and the exact posterior, side by side.
    mle = bd.deconvolve(cohort.bulk, reference, "map")
    laplace = bd.deconvolve(cohort.bulk, reference, "laplace", seed=1)
    nuts = bd.deconvolve(
        cohort.bulk, reference, "nuts", seed=1, sampling=bd.Sampling(draws=draws, tune=draws)
    )
    print(nuts)
    print(nuts.diagnostics[["r_hat", "ess_bulk", "ess_tail", "divergences", "verdict"]])
    print(bd.compare(mle, laplace, nuts))

    # ArviZ works on it as it is: dims (chain, draw, sample, cell_type).
    idata = nuts.to_inference_data()
    print(az.summary(idata, var_names=["proportions"]).head(8))

    # Quality of the prediction of every gene from all others.
    print(nuts.loo())
    print(bd.report(nuts, "posterior-report.html", force=True))


if __name__ == "__main__":  # sampling runs in worker processes
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
