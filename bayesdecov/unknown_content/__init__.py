"""Cells absent from the reference: their profile, learned from a cohort, and their share."""
