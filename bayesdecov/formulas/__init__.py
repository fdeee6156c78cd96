"""Formulas: parsed by our own grammar, evaluated by formulaic under internal names."""
