"""One existing thing for each word that may stand in a path; a word that is not here fails the access matrix."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from timers.executions import start_operation
from timers.models import TimerGroup
from timers.scheduling import fire_timer, schedule_once
from timers.subscribing import create_subscription


class Samples:
    """Things of one group, made when a path first names them."""

    def __init__(self, group: TimerGroup) -> None:
        self.group = group
        self._made: dict[str, str] = {}
        self._makers: dict[str, Callable[[], Any]] = {
            "group": lambda: group.name,
            "name": self._timer,
            "execution": self._execution,
            "operation": self._operation,
            "subscription": self._subscription,
            "handler": lambda: "timerbench.noop",
        }

    def path(self, template: str) -> str:
        """The path with an existing thing in the place of each of its words."""
        return re.sub(r"{(\w+)}", lambda match: self.one(match[1]), template)

    def make_all(self) -> None:
        """Have one of everything."""
        for word in self._makers:
            self.one(word)

    def one(self, word: str) -> str:
        """The name or id of the thing that this word means."""
        if word not in self._makers:
            raise AssertionError(f"say in tests/api/samples.py what {{{word}}} in a path means")
        if word not in self._made:
            self._made[word] = str(self._makers[word]())
        return self._made[word]

    def _timer(self) -> str:
        return schedule_once(self.group.name, "sample", after=3600).name

    def _execution(self) -> str:
        self.one("name")
        return fire_timer(self.group.name, "sample")

    def _operation(self) -> int:
        return start_operation("dismiss", {"group": self.group.name}).id

    def _subscription(self) -> str:
        return create_subscription(self.group.name, "sample", action={"kind": "pull"}).name
