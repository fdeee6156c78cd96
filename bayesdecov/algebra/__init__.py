"""The mathematics in plain NumPy: densities with their derivatives, the simplex, priors.

Nothing in this folder imports PyMC, pandas or higher layers of the package. Arrays carry a
leading sample axis: ``q`` is ``(sample, cell_type)``, ``y`` is ``(sample, gene)``.
"""
