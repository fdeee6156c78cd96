"""From a bulk table and a reference to proportions: prepare, fit, result."""
