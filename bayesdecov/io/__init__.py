"""Reading and writing tables: identifiers, alignment by label, scales, output folders."""
