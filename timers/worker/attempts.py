"""One attempt: from an execution to its work, and from the result of that to an Outcome. Never raises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from timers.actions.chain import ChainAction
from timers.actions.http import TIMEOUT, HttpAction
from timers.clock import DatabaseClock
from timers.domain.policies import check_seconds
from timers.engine import errors
from timers.engine.execution import Execution
from timers.engine.outcome import Outcome, result_text
from timers.exceptions import InvalidRequest
from timers.handlers import Discard, Fail, Handler, Retry, Snooze

Work = Handler | HttpAction
"""The work of an attempt: call a handler, or make an HTTP call."""


class CallFailed(Exception):
    """A call did not succeed: what to record, and what follows.

    Args:
        title: the error in one line.
        place: with `code`, identifies the fault: failures with the same values are the same fault.
        code: see `place`.
        wait: seconds for which the target asks not to be called.
        permanent: whether a retry is useless.
        pauses: why the timer or subscription is paused automatically; empty: it is not.
    """

    def __init__(
        self, title: str, place: str, code: str, *, wait: float | None = None, permanent: bool = False, pauses: str = ""
    ) -> None:
        super().__init__(title)
        self.title, self.place, self.code = title, place, code
        self.wait, self.permanent, self.pauses = wait, permanent, pauses


def find_work(execution: Execution) -> Work | ChainAction | str:
    """Return the work of this execution, or the reason why it cannot be done here. Never raises.

    A chain action has no work itself: an order begins or is advanced where its outcome is recorded.
    """
    try:
        if execution.poison:
            return execution.poison
        if execution.action is None:
            return f"no handler: neither the timer nor its group {execution.group.name!r} has a readable action"
        work = execution.action.resolve()
        if isinstance(work, (Handler, HttpAction, ChainAction, str)):
            return work
        return f"actions of kind {execution.action.kind} return nothing that a worker can run"
    except Exception as error:  # noqa: BLE001 - this execution cannot run, but the others of its batch can
        return f"its action cannot be read: {errors.short_title(error)}"


def time_limit(execution: Execution, work: Work) -> float:
    """Return the seconds that one attempt may run; a call without its own limit has a shorter one than a handler."""
    if work.timeout is not None:
        return work.timeout
    most = execution.policies.attempt_timeout
    return min(most, TIMEOUT) if isinstance(work, HttpAction) else most


def looked_at(execution: Execution, now_us: int) -> Outcome:
    """Return the outcome of an execution that runs nothing: the rules of its chain apply where it is recorded."""
    return Outcome(execution, "succeeded", now_us, now_us)


def started_at(execution: Execution, clock: DatabaseClock) -> int:
    """Return the current time as the start of an attempt that begins now.

    The execution was passed on because its instant had come. A slow reading of the database's clock may have moved the
    estimate back since; so the result is never before that instant.
    """
    return max(clock.now_us(), execution.start_us)


def returned(execution: Execution, value: Any, started_us: int, finished_us: int) -> Outcome:
    """Return the outcome of a handler that returned: succeeded, with its value if that is JSON and not too long.

    Never raises.
    """
    outcome = Outcome(execution, "succeeded", started_us, finished_us)
    if value is not None:
        try:
            outcome.result = result_text(value)
        except InvalidRequest as error:
            outcome.reason = f"the result was not kept: {error.problems[0].message}"
        except BaseException as error:  # noqa: BLE001 - a value of user code; other threads may be changing it
            outcome.reason = f"the result was not kept: {errors.kind_of(error)}"
    return outcome


def raised(execution: Execution, error: BaseException, started_us: int | None, finished_us: int) -> Outcome:
    """Return the outcome of a handler that raised: a directive, a failed call, or an error that is retried by policy.

    Never raises: the exception is user code, and so are its class and its attributes.
    """
    try:
        return _raised(execution, error, started_us, finished_us)
    except BaseException as fault:  # noqa: BLE001 - an attribute of the exception raised, or no memory is left
        title = f"{errors.kind_of(error)}: its meaning cannot be read ({errors.kind_of(fault)})"
        return Outcome(
            execution, "error", started_us, finished_us,
            reason=title, error_title=title, error_fingerprint=errors.fingerprint("unreadable", "", title),
        )  # fmt: skip


def _raised(execution: Execution, error: BaseException, started_us: int | None, finished_us: int) -> Outcome:
    # Use the type: __class__ may be an attribute of user code.
    kind = type(error)
    outcome = Outcome(execution, "error", started_us, finished_us, reason=errors.message_of(error) or None)
    if issubclass(kind, Discard):
        outcome.word = "discarded"
    elif issubclass(kind, Snooze) and isinstance(error, Snooze):
        outcome.wait = check_seconds("seconds", error.seconds)
        outcome.word = "snoozed"
    elif issubclass(kind, Retry) and isinstance(error, Retry):
        outcome.wait = None if error.after is None else check_seconds("after", error.after)
        outcome.error_title = f"Retry: {outcome.reason}" if outcome.reason else "Retry"
    elif issubclass(kind, CallFailed) and isinstance(error, CallFailed):
        outcome.error_title, outcome.reason = error.title, error.pauses or None
        outcome.error_fingerprint = errors.fingerprint("http", error.place, error.code)
        outcome.wait, outcome.permanent, outcome.pauses = error.wait, error.permanent, error.pauses
    else:
        described = errors.describe(error)
        outcome.error_title, outcome.error_detail = described.title, described.detail
        outcome.error_fingerprint = described.fingerprint
        outcome.permanent = issubclass(kind, Fail)
        outcome.reason = "the handler raised Fail" if outcome.permanent else None
    return outcome


def overran(execution: Execution, limit: float, started_us: int, finished_us: int) -> Outcome:
    """Return the outcome of a handler that was stopped at its limit (seconds)."""
    title = f"ran longer than its limit of {limit:g} s"
    return Outcome(
        execution, "timeout", started_us, finished_us,
        reason=title, error_title=title, error_fingerprint=errors.fingerprint("timeout", execution.action_name, ""),
    )  # fmt: skip


def spoilt(outcome: Outcome, left: Sequence[str]) -> Outcome:
    """Return an error in place of the outcome: the handler left behind state that could affect others."""
    title = f"the handler left behind: {', '.join(left)}"
    if outcome.word == "error":
        outcome.reason = "; ".join(filter(None, (outcome.reason, title)))
        return outcome
    # Without the variable parts (names of variables, numbers of locks).
    kinds = ",".join(sorted({words.partition(" (")[0] for words in left}))
    return Outcome(
        outcome.execution, "error", outcome.started_us, outcome.finished_us,
        reason=title, error_title=errors.short(title), error_detail=title, log=outcome.log, exchange=outcome.exchange,
        error_fingerprint=errors.fingerprint("left behind", outcome.execution.action_name, kinds),
    )  # fmt: skip


def never_begun(execution: Execution, now_us: int) -> Outcome:
    """Return the outcome of an execution that was requested to end before it began."""
    return Outcome(execution, "lost", None, now_us, reason="it had not begun")


def unrecordable(outcome: Outcome, error: Exception | None) -> Outcome:
    """Return an outcome to record in place of one whose content cannot be written; None: the error cannot either."""
    title = f"the outcome ({outcome.word}) could not be recorded"
    if error is not None:
        title += f": {errors.message_of(error).partition(chr(10))[0]}"
    return Outcome(
        outcome.execution, "error", outcome.started_us, outcome.finished_us,
        reason=title, error_title=title[: errors.TITLE_LENGTH], permanent=outcome.word == "succeeded",
    )  # fmt: skip


Report = Callable[[list[Outcome]], None]
"""Accepts outcomes for the ledger."""
