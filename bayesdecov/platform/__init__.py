"""A reference from elsewhere: what a cohort tells of the platforms' differences and the noise.

Bulks of one's own and a reference of another laboratory differ, gene by gene, by factors that all
bulks share, and scatter more than replicates of one laboratory would. Both are learned from the
cohort before its samples are fitted one by one: `learn` does it all, `positive` is the fit it
rests on, `noise` the variance law with heavy tails and gene-specific noise, `cut` the level of the
cell types and the factors of the genes, `draws` what all samples share of their uncertainty.
"""
