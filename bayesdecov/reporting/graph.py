"""Graphs of the models in plain SVG: variables and their dependence."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

_WIDTH, _ROW = 640, 104


class Node(NamedTuple):
    """A variable: its symbol, its label, and its position (in percent and rows)."""

    symbol: str
    label: str
    x: float
    row: int
    kind: str = "free"  # "free", "given", "observed"


def graph(nodes: list[Node], arrows: list[tuple[str, str]], plate: str) -> str:
    """An SVG of a model; observed variables are filled, given ones are squares."""
    height = _ROW * (1 + max(node.row for node in nodes)) + 40
    place = {node.symbol: (node.x / 100 * _WIDTH, 64 + node.row * _ROW) for node in nodes}
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" class="graph" '
        f'aria-label="Model graph" xmlns="http://www.w3.org/2000/svg">',
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z"/></marker></defs>',
        f'<text x="{_WIDTH - 8}" y="{height - 8}" text-anchor="end" class="small">'
        f"{escape(plate)}</text>",
    ]
    for start, end in arrows:
        (x0, y0), (x1, y1) = place[start], place[end]
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        dx, dy = (x1 - x0) / length * 27, (y1 - y0) / length * 27
        parts.append(
            f'<line x1="{x0 + dx:.0f}" y1="{y0 + dy:.0f}" x2="{x1 - dx:.0f}" '
            f'y2="{y1 - dy:.0f}" marker-end="url(#tip)"/>'
        )
    for node in nodes:
        x, y = place[node.symbol]
        below = y + (40 if node.row else -32)
        shape = (
            f'<rect x="{x - 24:.0f}" y="{y - 22:.0f}" width="48" height="44" class="given"/>'
            if node.kind == "given"
            else f'<circle cx="{x:.0f}" cy="{y:.0f}" r="24" class="{node.kind}"/>'
        )
        parts.append(
            f'{shape}<text x="{x:.0f}" y="{y + 6:.0f}" text-anchor="middle">'
            f'{escape(node.symbol)}</text><text x="{x:.0f}" y="{below:.0f}" '
            f'text-anchor="middle" class="small">{escape(node.label)}</text>'
        )
    return "".join([*parts, "</svg>"])


def convolution(*, free_size: bool, counting: bool, heavy: bool) -> str:
    """The convolution model with the parts that a run used."""
    nodes = [
        Node("pᵢ", "proportions", 30, 0),
        Node("μ", "means", 52, 0, "given"),
        Node("Σⱼ", "covariances", 72, 0, "given"),
        Node("yᵢ", "bulk", 50, 1, "observed"),
    ]
    arrows = [("pᵢ", "yᵢ"), ("μ", "yᵢ"), ("Σⱼ", "yᵢ")]
    if free_size:
        nodes.append(Node("sᵢ", "size factor", 10, 0))
        arrows.append(("sᵢ", "yᵢ"))
    if counting:
        nodes.append(Node("φᵢ", "counting noise", 90, 0, "given"))
        arrows.append(("φᵢ", "yᵢ"))
    if heavy:
        nodes.append(Node("κᵢ", "scale", 20, 1))
        arrows.append(("κᵢ", "yᵢ"))
    return graph(nodes, arrows, "for every sample i")


def mixed_effects(*, contaminated: bool, heavy: bool) -> str:
    """The mixed model of all genes."""
    nodes = [
        Node("β", "fixed effects", 20, 0),
        Node("Ψ", "covariance", 45, 0),
        Node("σ", "residual sd", 75, 0),
        Node("γg", "random effects", 35, 1),
        Node("yg", "expression", 60, 2, "observed"),
        Node("X", "design", 85, 1, "given"),
    ]
    arrows = [("Ψ", "γg"), ("β", "yg"), ("γg", "yg"), ("σ", "yg"), ("X", "yg")]
    if contaminated:
        nodes.append(Node("zg", "shift, if any", 12, 1))
        arrows.append(("zg", "γg"))
    if heavy:
        nodes.append(Node("κg", "scale", 88, 2))
        arrows.append(("κg", "yg"))
    return graph(nodes, arrows, "for every gene g")
