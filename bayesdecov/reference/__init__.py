"""References: mean expression of every cell type, gene-gene covariances, their uncertainty."""
