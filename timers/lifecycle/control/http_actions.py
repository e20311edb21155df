"""Http actions when they are saved: what would be refused at every try is refused now."""

from __future__ import annotations

from collections.abc import Callable

from timers.actions.egress import Egress
from timers.actions.entry import EntryAction
from timers.actions.http import HttpAction
from timers.exceptions import SpecError
from timers.lifecycle.control.secrets import check_secrets


def check_http(action: HttpAction, group: str) -> None:
    """Raise SpecError where the egress guard closes the target, or a secret is missing or not for this use."""
    problems: list[SpecError] = []
    checks: list[Callable[[], None]] = [
        lambda: action.check_egress(Egress.in_force()),
        lambda: check_secrets(action, group),
    ]
    for check in checks:
        try:
            check()
        except SpecError as error:
            problems.append(error)
    if problems:
        raise SpecError.combined(problems)


def check_entry(action: EntryAction) -> None:
    """Raise SpecError where this installation has no entry point."""
    call = action.call()
    if isinstance(call, str):
        raise SpecError("action", call)
