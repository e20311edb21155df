"""What follows when a step fails: a retry, or what its error policy says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from hashlib import blake2b
from typing import Any

from timers.domain.chains.order import FAILED, WAITING
from timers.domain.chains.steps import RetriedStep, Step
from timers.domain.chains.walk import Walk


def fail_step(
    walk: Walk, step: Step, error: str, *, may_retry: bool = True, retry_after: float | None = None
) -> str | None:
    """Apply the error policy of a step. Return the step to continue with, or None if the order waits or ends."""
    policy = step.error_policy
    if policy.word == "retry" and isinstance(step, RetriedStep):
        if may_retry and walk.now_of("setbacks") < step.retry_policy.max_retries:
            _set_back(walk, step, error, retry_after)
            return None
        policy = step.on_exhausted
    if policy.target is not None:
        walk.notes.append(f"{step.name} failed: {error}; goes to {policy.target}")
        return policy.target
    if policy.word == "suspend":
        walk.suspend(f"{step.name} failed: {error}")
        return None
    return walk.end(FAILED, f"{step.name} failed: {error}", resume_at=step.name)


def retry_wait(step: RetriedStep, setback: int, order_id: Any) -> float:
    """Return the seconds before a retry (1 is the first). The jitter is deterministic."""
    policy = step.retry_policy
    wait = replace(policy, jitter=0).wait_before(setback)
    digest = blake2b(f"{order_id} {step.name} {setback}".encode(), digest_size=4).digest()
    return wait * (1 + policy.jitter * (int.from_bytes(digest) / 2**31 - 1))


def _set_back(walk: Walk, step: RetriedStep, error: str, retry_after: float | None) -> None:
    setback = walk.now_of("setbacks") + 1
    walk.place["setbacks"] = setback
    wait = retry_wait(step, setback, walk.order.id) if retry_after is None else retry_after
    what = f"setback {setback} of {step.retry_policy.max_retries} at {step.name}: {error}"
    if walk.now_of("is_suspend_requested"):
        walk.suspend(what)
    else:
        walk.rest(WAITING, at=walk.now + timedelta(seconds=wait), reason=what)
