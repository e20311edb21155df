"""The bounds of chains and orders, each named once."""

from __future__ import annotations

from typing import Final

from timers.domain.payload import MAX_BYTES

MAX_STEPS: Final = 1_000
"""Of one chain."""
MAX_ELEMENTS: Final = 10_000
"""Of the list that a map step goes over."""
MAX_BRANCHES: Final = 1_000
"""Of one fork."""
MAX_CHOICES: Final = 100
"""Conditions of one choice."""
MAX_LOCKS: Final = 100
MAX_CAPACITY: Final = 10_000
MAX_ORDERS: Final = 1_000_000
MAX_VISITS: Final = 10_000
DEFAULT_VISITS: Final = 100
MAX_RESULTS: Final = 100
MAX_PRIORITY: Final = 9
MAX_VARIABLES_BYTES: Final = MAX_BYTES
"""Bytes of the variables of an order as JSON, those that a branch sees of its parent included."""
MAX_DEPTH_OF_SUB_CHAINS: Final = 16
"""Chains within chains."""
