"""Tables in and out: reading, identifiers, alignment by label, scales, whole output folders."""
