"""Picture of a chain as SVG text.

It contains no colours. Its parts have CSS classes (chain-step, chain-step-KIND, is-stopped, is-skipped, chain-edge,
is-error, is-back, chain-name, chain-words, chain-label, chain-count, chain-arrow), so a page can show it in its own
colours, light or dark.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from timers.domain.chains.definition import Chain
from timers.domain.chains.order import ALL_ACTIVE, StepStates
from timers.domain.chains.picture import HEIGHT, WIDTH, picture_data

_LONGEST: Final = 24
"""Maximum number of characters of a name in a box; its title has the whole name."""
_LONGEST_LABEL: Final = 32
_ARROW: Final = (
    '<defs><marker id="chain-arrow" class="chain-arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
    'markerHeight="8" orient="auto"><path d="M0 0 L8 4 L0 8 z"/></marker></defs>'
)


def picture_svg(chain: Chain, states: StepStates = ALL_ACTIVE, counts: Mapping[str, int] | None = None) -> str:
    """Return the picture as an svg element; the arguments are those of picture_data."""
    data = picture_data(chain, states, counts)
    nodes = {node["name"]: node for node in data["nodes"]}
    width, height = data["width"], data["height"]
    return "".join(
        [
            f'<svg class="chain-picture" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" ',
            f'width="{width}" height="{height}" role="img" aria-label="Steps of the chain">',
            _ARROW,
            *map(_curve, data["edges"]),
            *(_label(edge, nodes[edge["source"]], nodes[edge["target"]]) for edge in data["edges"] if edge["label"]),
            *map(_box, data["nodes"]),
            "</svg>",
        ]
    )


def _curve(edge: dict[str, Any]) -> str:
    classes = "chain-edge" + " is-error" * edge["is_error"] + " is-back" * edge["is_back"]
    title = escape(" ".join([edge["source"], "→", edge["target"], edge["label"]]).strip())
    curve = f'<path class="{classes}" d="{edge["path"]}" fill="none" marker-end="url(#chain-arrow)">'
    return f"{curve}<title>{title}</title></path>"


def _label(edge: dict[str, Any], source: dict[str, Any], target: dict[str, Any]) -> str:
    x = source["x"] + WIDTH // 2 + (target["x"] - source["x"]) // 4 + 4
    return _text("chain-label", x, source["y"] + HEIGHT + 14, edge["label"], "start", _LONGEST_LABEL)


def _box(node: dict[str, Any]) -> str:
    x, y, middle = node["x"], node["y"], node["x"] + WIDTH // 2
    classes = f"chain-step chain-step-{node['kind']}" + (f" is-{node['state']}" if node["state"] != "active" else "")
    parts = [
        f'<g class="{classes}" data-step="{escape(node["name"])}">',
        f"<title>{escape(node['name'])}: {escape(node['words'])}</title>",
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
        _text("chain-name", middle, y + 19, node["name"]),
        _text("chain-words", middle, y + 35, node["words"]),
    ]
    if node["orders"]:
        parts.append(_text("chain-count", x + WIDTH - 6, y + 14, f"{node['orders']:,}", "end"))
    return "".join([*parts, "</g>"])


def _text(name: str, x: int, y: int, text: str, anchor: str = "middle", longest: int = _LONGEST) -> str:
    shown = escape(text if len(text) <= longest else f"{text[: longest - 1]}…")
    return f'<text class="{name}" x="{x}" y="{y}" text-anchor="{anchor}">{shown}</text>'
