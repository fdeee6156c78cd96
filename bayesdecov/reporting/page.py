"""The filled template: one self-contained HTML text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any


def page(name: str, record: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """A page from its name, the record of its run (``run.json``) and its content."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bayesdecov", "reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("bayesdecov.reporting").joinpath("style.css").read_text(encoding="utf-8")
    return environment.get_template("template.html").render(
        name=name,
        style=style,
        settings=_flat(record["settings"]),
        versions=record.get("versions") or {},
        inputs=record.get("inputs") or {},
        notes=record.get("warnings") or [],
        **content,
    )


def _flat(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as text, nested ones as JSON."""
    flat = {}
    for name, value in settings.items():
        nested = isinstance(value, (dict, list, tuple))
        flat[str(name)] = json.dumps(value, default=str) if nested else str(value)
    return flat
