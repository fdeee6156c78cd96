"""Results of analyses and their folders: tables, groups of an ArviZ container, a record."""
