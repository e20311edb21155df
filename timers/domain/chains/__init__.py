"""Job chains: definitions, and the progress of orders. Pure: no Django, no database, no clock.

definition, steps   what a chain consists of
parse, graph        read a definition and check it as a whole; sub_chains: check the chains within it
order, events       where an order is, and what can happen to it
advance, moves      what follows from an event, to be written in one transaction
walk, way, begin    how an order proceeds until it waits
joins, failures     forks, maps and joins; error policies and retries
people              what people do to an order
"""

from __future__ import annotations

from timers.domain.chains.advance import advance
from timers.domain.chains.definition import Chain, to_json
from timers.domain.chains.moves import Finish, Moves, NewBranch, NewSubOrder
from timers.domain.chains.order import Branch, Order, Pending, StepStates, Tallies
from timers.domain.chains.parse import parse_chain
from timers.domain.chains.sub_chains import check_sub_chains

__all__ = [
    "Branch", "Chain", "Finish", "Moves", "NewBranch", "NewSubOrder", "Order", "Pending", "StepStates", "Tallies",
    "advance", "check_sub_chains", "parse_chain", "to_json",
]  # fmt: skip
