"""Acknowledge claimed executions: consumers commit, discard and extend them, with the token of the claim.

Commit and discard are idempotent: a repeat gets the response of the first call for as long as the ledger has the
attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import sleep
from typing import Any, Final

from django.core import signing

from timers import clock
from timers.database import connection, transaction
from timers.domain.execution_id import MAX_TRIES, parse, try_id
from timers.domain.policies import check_seconds
from timers.engine.claimed import load_claimed
from timers.engine.execution import AnyHolder, Consumer, Execution
from timers.engine.finish import finish
from timers.engine.outcome import Outcome, OutcomeWord, result_text
from timers.exceptions import InvalidRequest, NotAllowedNow, StaleToken, TimersError
from timers.models import Attempt
from timers.schedules.duration import Duration, parse_seconds
from timers.schedules.instant import to_microseconds

SHORTEST_LEASE: Final = 1.0
LONGEST_LEASE: Final = 12 * 3600.0
_SALT: Final = "timers.consume"
_TRIES: Final = 50
_PAUSE: Final = 0.02
"""Seconds between two attempts to end an execution whose timer is locked by another transaction."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Result of committing or discarding an execution."""

    execution: str
    outcome: str
    """succeeded, discarded, or cancelled where cancellation had been requested."""


@dataclass(frozen=True, slots=True)
class Extended:
    """An extended claim."""

    expires_at: datetime
    cancelled: tuple[str, ...]
    """Executions of the claim whose cancellation was requested: a discard ends them as cancelled."""


@dataclass(frozen=True, slots=True)
class Commit:
    """An execution to commit, with the token of its claim and an optional result (JSON, at most 8 KB)."""

    execution: str
    token: str
    result: Any = None


@dataclass(frozen=True, slots=True)
class _Word:
    """A validated acknowledgement of one execution."""

    execution: str
    fence: int
    word: OutcomeWord
    result: str | None = None
    wait: float | None = None
    reason: str | None = None

    def outcome(self, held: Execution, now_us: int) -> Outcome:
        return Outcome(
            held, self.word, held.claimed_us, max(now_us, held.claimed_us),
            result=self.result, wait=self.wait, reason=self.reason,
        )  # fmt: skip


def commit(execution: str, token: str, *, result: Any = None) -> Settled:
    """Commit an execution: it has succeeded. A repeat of the call returns the same.

    Args:
        execution: the id of the execution.
        token: the token of its claim.
        result: a JSON value of at most 8 KB, stored with the execution.

    Raises:
        StaleToken: the claim no longer owns the execution.
        InvalidRequest: the id, the token or the result is invalid.
        NotAllowedNow: the timer of the execution is locked by another transaction; try again.
    """
    (answer,) = commit_many([Commit(execution, token, result)])
    if isinstance(answer, TimersError):
        raise answer
    return answer


def commit_many(commits: Sequence[Commit]) -> list[Settled | TimersError]:
    """Commit many executions in a few statements; an error of one is returned in its position."""
    answers: dict[int, Settled | TimersError] = {}
    words: dict[int, _Word] = {}
    for place, each in enumerate(commits):
        try:
            words[place] = _Word(
                _checked(each.execution), _fence_of(each.token), "succeeded", result=result_text(each.result)
            )
        except InvalidRequest as error:
            answers[place] = error
    answers |= _settle(words)
    return [answers[place] for place in range(len(commits))]


def discard(execution: str, token: str, *, delay: Duration | None = None, reason: str = "") -> Settled:
    """Discard an execution: it becomes available again, and the attempt counts. A repeat of the call returns the same.

    Args:
        execution: the id of the execution.
        token: the token of its claim.
        delay: seconds until it is available again; None: by the retry policy (or at the next tick).
        reason: recorded with the attempt.

    Raises:
        StaleToken: the claim no longer owns the execution.
        InvalidRequest: the id, the token or the delay is invalid.
        NotAllowedNow: the timer of the execution is locked by another transaction; try again.
    """
    wait = None if delay is None else check_seconds("delay", delay)
    word = _Word(_checked(execution), _fence_of(token), "discarded", wait=wait, reason=reason or None)
    answer = _settle({0: word})[0]
    if isinstance(answer, TimersError):
        raise answer
    return answer


def extend(execution: str, token: str, *, lease: Duration = 30.0) -> Extended:
    """Extend the claim of an execution, which is that of all executions claimed with it.

    Args:
        execution: the id of the execution.
        token: the token of its claim.
        lease: seconds from now, 1 to 43,200 (12 hours).

    Raises:
        StaleToken: the claim no longer owns the execution.
        InvalidRequest: the id or the token is invalid, or the lease is out of range.
    """
    fence, seconds = _fence_of(token), check_lease(lease)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE timers_claim SET expires_at = timers_now() + %s * INTERVAL '1 second'"
            " WHERE id = %s AND consumer IS NOT NULL AND %s::uuid = ANY(executions)"
            " RETURNING expires_at, COALESCE(revoked::text[], '{}')",
            (seconds, fence, _checked(execution)),
        )
        row = cursor.fetchone()
    if row is None:
        raise StaleToken(f"execution {execution} is not held by this claim any more")
    expires_at, revoked = row
    return Extended(expires_at, tuple(revoked))


def token_of(fence: int) -> str:
    """Return the token of a claim."""
    return signing.Signer(salt=_SALT).sign(str(fence))


def check_lease(value: Any) -> float:
    """Return a lease in seconds, from 1 second to 12 hours; raise InvalidRequest outside of that range."""
    return float(parse_seconds(value, "lease", at_least=SHORTEST_LEASE, at_most=LONGEST_LEASE))


def _settle(words: dict[int, _Word]) -> dict[int, Settled | TimersError]:
    """Acknowledge all and return the result of each by its position."""
    answers: dict[int, Settled | TimersError] = {}
    left = dict(words)
    for _ in range(_TRIES):
        # # One acknowledgement per execution at a time: a second one then sees the effect of the first.
        now = {word.execution: place for place, word in reversed(left.items())}
        answers |= _settled_now({place: left[place] for place in now.values()})
        left = {place: word for place, word in left.items() if place not in answers}
        if not left:
            return answers
        if len(now) == len(left):
            # The rows of the timers are locked; they are free a moment later.
            sleep(_PAUSE)
    for place, word in left.items():
        answers[place] = NotAllowedNow(f"the timer of execution {word.execution} is being changed; try again")
    return answers


def _settled_now(words: dict[int, _Word]) -> dict[int, Settled | TimersError]:
    """Make one attempt in one transaction; positions missing from the result must be attempted again."""
    answers: dict[int, Settled | TimersError] = {}
    now_us = to_microseconds(clock.now())
    with transaction.atomic():
        found = load_claimed({word.fence for word in words.values()}, {word.execution for word in words.values()})
        held = {(item.id, item.fence): (item, holder) for item, holder in found if isinstance(holder, Consumer)}
        by_holder: dict[AnyHolder, dict[str, int]] = {}
        outcomes: dict[AnyHolder, list[Outcome]] = {}
        for place, word in words.items():
            if (word.execution, word.fence) not in held:
                answers[place] = _settled_before(word)
                continue
            execution, holder = held[word.execution, word.fence]
            by_holder.setdefault(holder, {})[execution.id] = place
            outcomes.setdefault(holder, []).append(word.outcome(execution, now_us))
        for each, theirs in outcomes.items():
            finished = finish(each, theirs, now_us)
            places = by_holder[each]
            for outcome, verdict in finished.verdicts:
                said = "cancelled" if verdict.next == "cancel" else outcome.word
                answers[places[outcome.execution.id]] = Settled(outcome.execution.id, said)
            for outcome in finished.refused:
                place = places[outcome.execution.id]
                answers[place] = _settled_before(words[place])
    return answers


def _settled_before(word: _Word) -> Settled | StaleToken:
    """Return the result of an earlier identical acknowledgement by this claim, or StaleToken."""
    own = Attempt.objects.filter(id__gte=word.execution, id__lte=try_id(word.execution, MAX_TRIES), fence=word.fence)
    said = set(own.values_list("outcome", flat=True))
    if word.word in said:
        return Settled(word.execution, word.word)
    if "cancelled" in said and word.word == "discarded":
        return Settled(word.execution, "cancelled")
    return StaleToken(f"execution {word.execution} is not held by this claim any more")


def _fence_of(token: Any) -> int:
    try:
        return int(signing.Signer(salt=_SALT).unsign(token))
    except (signing.BadSignature, TypeError, ValueError):
        raise InvalidRequest("token", "is not a valid claim token") from None


def _checked(execution: str) -> str:
    try:
        parse(execution)
    except (ValueError, AttributeError):
        raise InvalidRequest("execution", "is no execution id", given=execution) from None
    return execution
