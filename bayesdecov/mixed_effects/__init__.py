"""Cell-type-specific differential expression: a mixed model over all genes."""
