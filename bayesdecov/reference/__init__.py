"""References: what every cell type expresses, how genes vary together, and how sure we are."""
