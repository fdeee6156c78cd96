"""The parts of a page: plots, tables, sections."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 110
_WHOLE = 1000.0


class Picture(NamedTuple):
    """A figure in the page."""

    uri: str
    alt: str
    width: int


def picture(figure: Figure, alt: str) -> Picture:
    """A figure as a PNG embedded in the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    width = int(figure.get_size_inches()[0] * _DPI)
    return Picture(f"data:image/png;base64,{encoded}", alt, width)


def section(
    title: str, text: str, pictures: list[Picture], tables: list[dict[str, Any]], *, svg: str = ""
) -> dict[str, Any]:
    """A section of the page; with ``svg`` its text is the model's formula."""
    return {"title": title, "text": text, "pictures": pictures, "tables": tables, "svg": svg}


def table_of(table: pd.DataFrame, caption: str) -> dict[str, Any]:
    """A table as text, numbers to four digits."""
    rows = [
        [str(name), *(_text(value) for value in row)]
        for name, row in zip(table.index, table.itertuples(index=False), strict=True)
    ]
    return {
        "caption": caption,
        "columns": [str(table.index.name or ""), *map(str, table.columns)],
        "rows": rows,
    }


def _text(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return str(value)
    if not isinstance(value, (float, np.floating)):
        return str(value)
    number = float(value)
    whole = abs(number) >= _WHOLE and number.is_integer()  # counts, not 1.664e+04
    return str(int(number)) if whole else f"{number:.4g}"
