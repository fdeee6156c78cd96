"""XML is checked before another library reads it: no declarations, no deep nesting."""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

from bayesdecov.errors import InputError
from bayesdecov.io import limits
from bayesdecov.io.files import check_file

_DEEPEST = 200


class _Refused(Exception):
    """Content that the file must not have."""


def check_xml(path: Path, argument: str) -> None:
    """Refuse a document type (entities can read files or expand without limit) and deep nesting.

    Raises
    ------
    InputError
        The file is not XML, or contains one of these.
    """
    check_file(path, argument)
    limits.require_file(path, argument)
    parser = expat.ParserCreate()
    depth = 0

    def start(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise _Refused(f"more than {_DEEPEST} nested elements")

    def end(*_: object) -> None:
        nonlocal depth
        depth -= 1

    def declaration(*_: object) -> None:
        raise _Refused("a document type, which gate files do not need")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = declaration
    try:
        with path.open("rb") as handle:
            parser.ParseFile(handle)
    except (_Refused, expat.ExpatError, ValueError) as error:
        raise InputError(
            argument, f"{str(path)!r} cannot be read as XML", found=str(error)
        ) from None
