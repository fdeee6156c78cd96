"""Options written side by side in a dictionary, put into the objects that hold them."""

from __future__ import annotations

from functools import partial

from bayesdecov.options import DesignOptions, EstimatorOptions, Sampling, grouped

of_deconvolve = partial(grouped, sampling=Sampling)
of_fastmix = partial(grouped, design=DesignOptions, estimator=EstimatorOptions, sampling=Sampling)
