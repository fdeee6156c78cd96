"""What analyses return and leave in a folder: tables, groups of an ArviZ container, a record."""
