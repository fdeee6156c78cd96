"""``python -m bayesdecov.cli``."""

from bayesdecov.__main__ import main

main()
