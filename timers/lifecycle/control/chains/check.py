"""Checks of definitions that need more than the definition: what its actions name must exist."""

from __future__ import annotations

from timers.actions import parse
from timers.actions.chain import ChainAction
from timers.actions.pull import PullAction
from timers.domain.chains import Chain
from timers.domain.chains.steps import ActionStep
from timers.exceptions import SpecError
from timers.lifecycle.control.action_checks import check_action
from timers.mistakes import Mistakes


def check_actions(chain: Chain, group: str) -> None:
    """Raise one SpecError for all actions of steps that cannot be carried out in the group."""
    mistakes = Mistakes()
    for name, step in chain.steps.items():
        if isinstance(step, ActionStep):
            place = f"steps.{name}"
            try:
                action = parse(step.action)
                if isinstance(action, (PullAction, ChainAction)):
                    other = 'Use a step of the kind "chain"' if isinstance(action, ChainAction) else "Use another kind"
                    raise SpecError("action.kind", f"{action.kind} is no action of a step. {other}.")
                check_action(action, group)
            except SpecError as error:
                mistakes.add(error.within(place))
    mistakes.tell()
