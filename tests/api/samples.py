"""One existing thing for each word that may stand in a path; a word that is not here fails the access matrix."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model

from tests import factories
from timers.chains import create_chain, set_lock
from timers.control.keys import create_key
from timers.control.secrets import create_secret
from timers.executions import start_operation
from timers.models import Chain, TimerGroup
from timers.scheduling import create_calendar, fire_timer, schedule_once
from timers.subscriptions import create_subscription


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
            "calendar": self._calendar,
            "secret": self._secret,
            "key": self._key,
            "node": lambda: factories.node("sample").pk,
            "partition": self._partition,
            "handler": lambda: "timerbench.noop",
            "chain": self._chain,
            "step": lambda: "wait",
            "version": lambda: self.one("chain") and 1,
            "lock": lambda: set_lock(self.group.name, "sample", 2).name,
            "order": self._order,
            "signal": lambda: "go",
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

    def _chain(self) -> str:
        steps = {"wait": {"kind": "signal", "signal": "go", "next": "end"}, "end": {"kind": "end"}}
        return create_chain(self.group.name, "sample", {"steps": steps}).name

    def _order(self) -> str:
        chain = Chain.objects.get(group=self.group, name=self.one("chain"))
        return str(factories.order(chain, "wait", "awaiting").pk)

    def _partition(self) -> str:
        factories.node("of the partition", partition="sample")
        return "sample"

    def _calendar(self) -> str:
        return create_calendar("sample", rules=[{"dates": ["2027-01-01"]}]).name

    def _secret(self) -> str:
        create_secret("sample", "s3cret-of-the-sample", groups=[self.group.name])
        return "sample"

    def _key(self) -> str:
        user, _ = get_user_model().objects.get_or_create(username="root", is_superuser=True)
        return create_key("sample", user=user, scopes=["read"], groups=[self.group.name])[0].public_id
