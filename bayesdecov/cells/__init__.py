"""Single cells: reading them, and adding them up to profiles of donors and cell types."""
