"""Validate the chains within a chain: each exists, and none contains itself."""

from __future__ import annotations

from collections.abc import Callable

from timers.domain.chains.definition import Chain
from timers.domain.chains.limits import MAX_DEPTH_OF_SUB_CHAINS
from timers.domain.chains.steps import SubChainStep
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest

Load = Callable[[str], Chain | None]
"""Returns the newest definition of a chain by its name; None if there is none."""


def names_of_sub_chains(chain: Chain) -> set[str]:
    """Return the names of the chains that a chain contains."""
    return {step.chain for step in chain.steps.values() if isinstance(step, SubChainStep)}


def check_sub_chains(name: str, chain: Chain, load: Load) -> None:
    """Raise InvalidRequest, with the location, for an unknown, recursive or too deeply nested sub-chain.

    Args:
        name: Name of the chain.
        chain: Its definition.
        load: Returns the definitions of others; called once for each name.
    """
    mistakes = ErrorCollector()
    loaded: dict[str, Chain | None] = {name: chain}
    heights: dict[str, int] = {}
    for step in chain.steps.values():
        if isinstance(step, SubChainStep):
            field = f"steps.{step.name}.chain"
            if _load(step.chain, loaded, load) is None:
                mistakes.add(InvalidRequest(field, f'there is no chain "{step.chain}". Create it first.'))
                continue
            loop = _find_loop([name, step.chain], loaded, load, heights)
            if loop:
                mistakes.add(InvalidRequest(field, f"the chain would contain itself: {' → '.join(loop)}."))
            elif heights.get(step.chain, 0) >= MAX_DEPTH_OF_SUB_CHAINS:
                what = f"chains within chains may be at most {MAX_DEPTH_OF_SUB_CHAINS} levels deep."
                mistakes.add(InvalidRequest(field, what))
    mistakes.raise_if_any()


def _load(name: str, loaded: dict[str, Chain | None], load: Load) -> Chain | None:
    if name not in loaded:
        loaded[name] = load(name)
    return loaded[name]


def _find_loop(path: list[str], loaded: dict[str, Chain | None], load: Load, heights: dict[str, int]) -> list[str]:
    """Return the first path that reaches one of its own chains again.

    If there is none, return empty and store the height.
    """
    last = path[-1]
    if last in path[:-1]:
        return path[path.index(last) :]
    if last in heights:
        return []
    if len(path) > MAX_DEPTH_OF_SUB_CHAINS + 1:
        heights[last] = 1
        return []
    chain = _load(last, loaded, load)
    height = 1
    for inner in _sub_chains(chain):
        loop = _find_loop([*path, inner], loaded, load, heights)
        if loop:
            return loop
        height = max(height, 1 + heights.get(inner, 1))
    heights[last] = height
    return []


def _sub_chains(chain: Chain | None) -> list[str]:
    if chain is None:
        return []
    return sorted({step.chain for step in chain.steps.values() if isinstance(step, SubChainStep)})
