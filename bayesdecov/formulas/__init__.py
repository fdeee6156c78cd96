"""Formulas: read by a grammar of our own, evaluated by formulaic under names of our own."""
