"""A setting: its allowed values, and how they are parsed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

Value = bool | int | float | str

_YES: Final = frozenset({"true", "1", "yes", "y", "on"})
_NO: Final = frozenset({"false", "0", "no", "n", "off"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `lowest` and `highest` are in `unit`; `choices` are the only allowed words.

    A text with a format of its own is validated by `reads`, which raises ValueError; `form` describes that format.
    """

    name: str
    default: Value
    help: str
    unit: str = ""
    lowest: float = -math.inf
    highest: float = math.inf
    choices: tuple[str, ...] = ()
    form: str = "text"
    reads: Callable[[str], object] = str
    is_shared: bool = False
    """Whether it must be the same on all nodes and web processes; the doctor compares them."""
    is_secret: bool = False
    """Whether it must never appear in a message."""

    @property
    def field(self) -> str:
        """The name in `Conf`: TIMERS_POLL_INTERVAL is poll_interval."""
        return self.name.removeprefix("TIMERS_").lower()

    @property
    def allowed(self) -> str:
        """The allowed values, as text."""
        if isinstance(self.default, bool):
            return "true or false"
        if self.choices:
            return " or ".join(self.choices)
        if isinstance(self.default, str):
            return self.form
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        unit = f" of {self.unit}" if self.unit else ""
        return f"{kind}{unit} from {self.lowest:g} to {self.highest:g}"

    def parse(self, given: Any) -> Value:
        """Return the value of a given text or Python value. Raise ValueError if it is invalid."""
        if isinstance(self.default, bool):
            return truth(given)
        if isinstance(self.default, str):
            text = str(given).strip()
            if self.choices and text not in self.choices:
                raise ValueError(given)
            self.reads(text)
            return text
        if isinstance(given, bool):
            raise ValueError(given)
        number = int(str(given)) if isinstance(self.default, int) else float(given)
        if not self.lowest <= number <= self.highest:  # also rejects nan
            raise ValueError(given)
        return number


def truth(given: Any) -> bool:
    """Parse true or false as people write them. Raise ValueError for any other word."""
    word = str(given).strip().lower()
    if word not in _YES | _NO:
        raise ValueError(given)
    return word in _YES
