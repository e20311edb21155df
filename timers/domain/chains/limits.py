"""Limits of chains and orders."""

from __future__ import annotations

from typing import Final

from timers.domain.payload import MAX_BYTES

MAX_STEPS: Final = 1_000
"""Maximum number of steps of one chain."""
MAX_ELEMENTS: Final = 10_000
"""Maximum length of the list of a map step."""
MAX_BRANCHES: Final = 1_000
"""Maximum number of branches of one fork."""
MAX_CHOICES: Final = 100
"""Maximum number of conditions of one choice."""
MAX_LOCKS: Final = 100
MAX_CAPACITY: Final = 10_000
MAX_ORDERS: Final = 1_000_000
MAX_VISITS: Final = 10_000
DEFAULT_VISITS: Final = 100
MAX_RESULTS: Final = 100
MAX_PRIORITY: Final = 9
MAX_VARIABLES_BYTES: Final = MAX_BYTES
"""Maximum size in bytes of an order's variables as JSON, including those that a branch inherits."""
MAX_DEPTH_OF_SUB_CHAINS: Final = 16
"""Maximum nesting of chains within chains."""
