"""Cells that the reference does not know: their profile, learned from a cohort, and their share."""
