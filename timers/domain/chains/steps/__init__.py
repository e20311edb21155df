"""The kinds of steps. A new kind is a class in a file here and an entry in KINDS."""

from __future__ import annotations

from typing import Final

from timers.domain.chains.steps.action import ActionStep, RetriedStep
from timers.domain.chains.steps.choice import ChoiceStep
from timers.domain.chains.steps.fork import ForkStep, JoinStep, MapStep, PartingStep
from timers.domain.chains.steps.on_error import FAIL, OnError
from timers.domain.chains.steps.pausing import ApprovalStep, SignalStep, WaitStep
from timers.domain.chains.steps.step import Exit, NextStep, Step
from timers.domain.chains.steps.sub_chain import EndStep, SubChainStep

__all__ = [
    "FAIL", "KINDS", "ActionStep", "ApprovalStep", "ChoiceStep", "EndStep", "Exit", "ForkStep", "JoinStep", "MapStep",
    "NextStep", "OnError", "PartingStep", "RetriedStep", "SignalStep", "Step", "SubChainStep", "WaitStep",
]  # fmt: skip

KINDS: Final[dict[str, type[Step]]] = {
    kind.kind: kind
    for kind in (
        ActionStep, ForkStep, JoinStep, MapStep, ChoiceStep, ApprovalStep, SignalStep, WaitStep, SubChainStep, EndStep,
    )
}  # fmt: skip
