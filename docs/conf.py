"""Sphinx: python -m sphinx -W -b html docs docs/_build/html (extra "docs")."""

from importlib.metadata import version as _version

project = "bayesdecov"
author = copyright = "The bayesdecov developers"
release = version = _version("bayesdecov")
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "myst_nb"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"bayesdecov {release}"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_output_stderr = "remove"  # warnings are in the notes of a result, which pages print
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
# pages link to source files, which are beside the site and not in it
suppress_warnings = ["myst.xref_missing", "mystnb.lexer", "myst.header"]
