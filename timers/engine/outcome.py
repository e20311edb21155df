"""How one attempt ended (Outcome), and what happens next (Verdict)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from timers.domain.payload import encode
from timers.domain.policies import MAX_RETRIES
from timers.engine.errors import fingerprint
from timers.engine.execution import Execution
from timers.exceptions import InvalidRequest

OutcomeWord = Literal["succeeded", "error", "timeout", "lost", "discarded", "snoozed"]
MAX_RESULT_BYTES: Final = 8 * 1024
MAX_RESULT_VALUES: Final = 8 * 1024
"""Maximum number of values in a result: each value in a list or object takes at least one byte of JSON."""
CountedAs = Literal["succeeded", "retried", "failed", "cancelled"]
Next = Literal["end", "again", "park", "drop", "cancel", "step"]


@dataclass(slots=True)
class Outcome:
    """The end of one attempt. Instants are microseconds since 1970 UTC; `started_us` is None if it never started."""

    execution: Execution
    word: OutcomeWord
    started_us: int | None
    finished_us: int
    result: str | None = None
    """JSON text of the handler's return value."""
    reason: str | None = None
    error_title: str | None = None
    error_detail: str | None = None
    error_fingerprint: str | None = None
    log: str | None = None
    wait: float | None = None
    """Seconds until the next attempt, if the handler (or a Retry-After) set it."""
    permanent: bool = False
    """Whether there is no further attempt, whatever retries are left."""
    forgiven: bool = False
    """Whether the attempt does not count against max_retries: it was ended because of another one's error."""
    pauses: str = ""
    """Why the subscription, or an active timer, pauses itself; empty: neither does."""
    exchange: str | None = None
    """JSON text of the request and response of an HTTP call."""
    revoked_because: str = ""
    """Why it was revoked; empty: it was not."""
    lost_before: bool = False
    """Whether the attempt before this lost one was lost too."""

    @property
    def is_further_snooze(self) -> bool:
        """Whether the previous attempt was snoozed too: both have one number and one row in the ledger."""
        return self.word == "snoozed" and self.execution.snoozes > 0


_ENDED_AS: Final = {
    "error": "it ended with an error",
    "timeout": "it ran longer than its limit",
    "lost": "it was lost",
    "discarded": "it was discarded",
    "snoozed": "it was to be tried again later",
}


def cancelled_because(outcome: Outcome) -> str:
    """Return the reason of a cancelled execution: why it was revoked, and how it ended."""
    return f"{outcome.revoked_because or 'asked to end'}; {outcome.reason or _ENDED_AS.get(outcome.word, outcome.word)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens next to an execution.

    `next` is end (succeeded), again (at `available_us`), park (as failed), drop (failed, final at once), cancel, or
    step: the chain of an order decides.
    """

    next: Next
    available_us: int = 0
    reason: str = ""
    """The reason, where neither the outcome nor the policy has one."""


ENDED: Final = Verdict("end")
"""The verdict on what succeeded."""


def counted_as(outcome: Outcome, verdict: Verdict) -> CountedAs:
    """Return how an end counts in the statistics of executions; each step of an order counts."""
    match verdict.next:
        case "end":
            return "succeeded"
        case "again":
            return "retried"
        case "cancel":
            return "cancelled"
        case "step":
            return "succeeded" if outcome.word == "succeeded" else "retried"
        case _:
            return "failed"


def impossible(execution: Execution, reason: str, now_us: int) -> Outcome:
    """Return the outcome of an execution that cannot run: poison fails permanently, an unknown handler is retried.

    Args:
        execution: the execution.
        reason: why it cannot run.
        now_us: microseconds by the database clock.
    """
    return Outcome(
        execution, "error", None, now_us,
        reason=reason, error_title=reason,
        error_fingerprint=fingerprint("impossible", execution.action_name, reason),
        permanent=bool(execution.poison),
    )  # fmt: skip


def result_text(value: Any) -> str | None:
    """Return the result of an attempt as JSON text; None for None.

    Raises:
        InvalidRequest: the value is not JSON, or is longer than 8 KB.
    """
    if value is None:
        return None
    if type(value) in (dict, list, tuple) and _has_too_many_values(value):
        # Checked before the value is walked: a few lists that contain each other many times represent more values than
        # can be counted.
        raise InvalidRequest("result", f"is longer than {MAX_RESULT_BYTES:,} bytes")
    text = encode(value, "result")
    if len(text.encode()) > MAX_RESULT_BYTES:
        raise InvalidRequest("result", f"is longer than {MAX_RESULT_BYTES:,} bytes")
    return text


def _has_too_many_values(value: Any) -> bool:
    left, count = [value], 0
    while left:
        inner = left.pop()
        count += len(inner)
        if count > MAX_RESULT_VALUES:
            return True
        values = inner.values() if isinstance(inner, dict) else inner
        left += [each for each in values if type(each) in (dict, list, tuple) and each]
    return False


def judge(outcome: Outcome, now_us: int, *, revoked: bool = False) -> Verdict:
    """Return the verdict on an outcome by the retry policy of the execution's timer.

    Args:
        outcome: the end of the attempt.
        now_us: microseconds since 1970 UTC, by the database clock.
        revoked: whether the execution was revoked.
    """
    execution = outcome.execution
    if outcome.word == "succeeded":
        return ENDED
    if revoked:
        return Verdict("cancel")
    now_us = execution.group.clock.at(now_us)
    if outcome.word == "lost" and execution.group.clock.at(execution.claimed_us) <= now_us:
        # It may have been claimed ahead: no attempt starts before the instant of its execution. (If the clock has been
        # set back since the claim, that instant is one of the old clock.)
        now_us = max(now_us, execution.available_us)
    forgiven = execution.forgiven + (outcome.forgiven or outcome.word == "snoozed")
    retry = execution.attempt - forgiven
    """The number of the next retry, not counting forgiven attempts."""
    policy = execution.policies.retry
    exhausted = retry > policy.max_retries and outcome.word != "snoozed"
    # A further snooze in a row does not get its own attempt number.
    is_numbered_out = execution.attempt >= MAX_RETRIES and not outcome.is_further_snooze
    if outcome.permanent or exhausted or is_numbered_out:
        reason = "" if outcome.permanent or exhausted else f"had {MAX_RETRIES:,} tries, the most of one execution"
        return Verdict("park" if execution.policies.on_failed == "park" else "drop", reason=reason)
    if outcome.wait is not None:
        return Verdict("again", now_us + round(outcome.wait * 1_000_000))
    if outcome.word == "lost" and (outcome.forgiven or not outcome.lost_before):
        # A single loss is most likely caused by the node; only a crash loop is slowed down.
        return Verdict("again", now_us)
    if outcome.word == "discarded" and execution.until_committed:
        # The schedule's next tick: when an until_committed timer offers a discarded execution again (layline.io).
        tick_us = execution.instant_after(now_us)
        if tick_us is not None:
            return Verdict("again", tick_us)
    return Verdict("again", now_us + round(policy.wait_before(max(retry, 1)) * 1_000_000))
