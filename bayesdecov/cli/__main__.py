"""``python -m bayesdecov.cli``."""

from bayesdecov.cli import main

main()
