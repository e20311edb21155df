"""Chains within chains: each is known, and none contains itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.chains.engine import END
from timers.domain.chains import Chain, check_sub_chains, parse_chain
from timers.exceptions import InvalidRequest


def calling(*names: str) -> Chain:
    """A chain with a step for each sub-chain."""
    steps: dict[str, Any] = {
        f"s{n}": {"kind": "chain", "chain": name, "next": f"s{n + 1}"} for n, name in enumerate(names)
    }
    return parse_chain({"steps": {**steps, f"s{len(names)}": END}})


def test_chains_within_chains_are_allowed() -> None:
    known = {"b": calling("c"), "c": calling()}

    check_sub_chains("a", calling("b", "c"), known.get)


def test_unknown_sub_chain_is_refused_with_the_place() -> None:
    with pytest.raises(InvalidRequest, match=r'steps\.s1\.chain: there is no chain "nope"\. Create it first\.'):
        check_sub_chains("a", calling("b", "nope"), {"b": calling()}.get)


@pytest.mark.parametrize(
    ("known", "loop"),
    [
        ({}, "a → a"),
        ({"b": ("a",)}, "a → b → a"),
        ({"b": ("c",), "c": ("d", "a"), "d": ()}, "a → b → c → a"),
    ],
)
def test_chain_that_contains_itself_is_refused(known: dict[str, tuple[str, ...]], loop: str) -> None:
    chains = {name: calling(*inner) for name, inner in known.items()}

    with pytest.raises(InvalidRequest) as caught:
        check_sub_chains("a", calling("b" if "b" in known else "a"), chains.get)

    assert str(caught.value) == f"steps.s0.chain: the chain would contain itself: {loop}."


def test_each_definition_is_loaded_once() -> None:
    loaded = []
    known = {"b": calling("d"), "c": calling("d"), "d": calling()}

    def load(name: str) -> Chain | None:
        loaded.append(name)
        return known.get(name)

    check_sub_chains("a", calling("b", "c", "d"), load)

    assert sorted(loaded) == ["b", "c", "d"]


def test_chains_are_not_nested_without_end() -> None:
    known = {f"c{n}": calling(f"c{n + 1}") for n in range(40)}
    known["c40"] = calling()

    with pytest.raises(InvalidRequest, match="may be at most 16 levels deep"):
        check_sub_chains("a", calling("c0"), known.get)
    check_sub_chains("a", calling("c30"), known.get)
