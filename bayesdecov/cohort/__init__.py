"""Questions about cohorts: proportions regressed on covariates."""
