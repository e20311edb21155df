"""Pictures of chains: the same for the same definition, whole, and safe to put into a page."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from tests.domain.chains.engine import END, action
from tests.domain.chains.test_parse import EVERY_KIND
from timers.domain.chains import StepStates, parse_chain
from timers.domain.chains.layout import lay_out
from timers.domain.chains.picture import picture_data, picture_text
from timers.domain.chains.svg import picture_svg

SMALL = {
    "steps": {
        "fetch": action("both"),
        "both": {"kind": "fork", "branches": {"invoice": "write", "stock": "reserve"}, "join": "joined"},
        "write": action("joined", on_error={"goto": "written-off"}),
        "written-off": {"kind": "end", "outcome": "failed"},
        "reserve": action("joined"),
        "joined": {"kind": "join", "next": "again"},
        "again": {"kind": "choice", "choices": [{"when": {"more": True}, "next": "fetch"}], "default": "done"},
        "done": END,
    }
}


def test_text_shows_steps_from_the_start_with_their_ways_out() -> None:
    assert (
        picture_text(parse_chain(SMALL))
        == """\
fetch (python h)
  → both
both (fork)
  invoice → write
  stock → reserve
  → joined
    write (python h)
      → joined
      on error → written-off
    reserve (python h)
      → joined
written-off (end)
joined (join)
  → again
again (choice)
  more = true → fetch
  otherwise → done
done (end)"""
    )


def test_steps_stand_below_those_that_lead_to_them() -> None:
    layout = lay_out(parse_chain(SMALL))
    layers = {node.name: node.layer for node in layout.nodes}

    assert layers == {
        "fetch": 0, "both": 1, "write": 2, "reserve": 2, "joined": 3, "written-off": 3, "again": 4, "done": 5,
    }  # fmt: skip
    assert [(edge.source, edge.target) for edge in layout.edges if edge.is_back] == [("again", "fetch")]
    assert [(edge.source, edge.target) for edge in layout.edges if not edge.is_regular] == [("write", "written-off")]


def test_no_two_steps_stand_in_one_place() -> None:
    for spec in (SMALL, EVERY_KIND):
        layout = lay_out(parse_chain(spec))

        assert len({(node.layer, node.column) for node in layout.nodes}) == len(spec["steps"])


def test_finally_steps_stand_below_all_others() -> None:
    layers = {node.name: node.layer for node in lay_out(parse_chain(EVERY_KIND)).nodes}

    others = {name: layer for name, layer in layers.items() if name not in ("clean", "done")}
    assert layers["clean"] > max(others.values())
    assert layers["done"] > layers["clean"]


def test_same_definition_has_the_same_picture() -> None:
    assert picture_svg(parse_chain(EVERY_KIND)) == picture_svg(parse_chain(EVERY_KIND))


def test_data_tells_states_and_orders_of_the_steps() -> None:
    states = StepStates(stopped=frozenset({"fetch"}), skipped=frozenset({"write"}))

    nodes = {node["name"]: node for node in picture_data(parse_chain(SMALL), states, {"fetch": 12})["nodes"]}

    assert (nodes["fetch"]["state"], nodes["fetch"]["orders"]) == ("stopped", 12)
    assert (nodes["write"]["state"], nodes["write"]["orders"]) == ("skipped", 0)
    assert nodes["reserve"]["state"] == "active"


def test_svg_is_well_formed_and_has_every_step_and_no_colour() -> None:
    svg = picture_svg(parse_chain(EVERY_KIND), StepStates(is_chain_stopped=True), {"fetch": 1200})

    root = ElementTree.fromstring(svg)
    steps = [group.get("data-step") for group in root.iter("{http://www.w3.org/2000/svg}g")]
    assert sorted(map(str, steps)) == sorted(EVERY_KIND["steps"])
    assert "1,200" in svg
    assert not re.search(r'style=|#[0-9a-f]{3,6}\b|(?:fill|stroke)="(?!none)', svg)


def test_svg_escapes_names_and_conditions() -> None:
    name = '<script>"&'
    steps: dict[str, Any] = {
        name: action("c"),
        "c": {"kind": "choice", "choices": [{"when": {"<b>": "</text>"}, "next": name}], "default": "z"},
        "z": END,
    }

    svg = picture_svg(parse_chain({"start": name, "steps": steps}))

    assert "<script>" not in svg
    assert "<b>" not in svg
    titles = [each.text or "" for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith(name) for title in titles)


def test_boxes_lie_within_the_picture() -> None:
    data = picture_data(parse_chain(EVERY_KIND))

    for node in data["nodes"]:
        assert 0 <= node["x"] <= data["width"] - node["width"]
        assert 0 <= node["y"] <= data["height"] - node["height"]


def test_chain_of_the_greatest_size_is_laid_out() -> None:
    steps: dict[str, Any] = {f"s{n}": action(f"s{n + 1}", on_error={"goto": "e"}) for n in range(998)}
    steps |= {"s998": action("e"), "e": END}

    layout = lay_out(parse_chain({"steps": steps}))

    assert layout.layers == 1000
    assert layout.columns == 1
