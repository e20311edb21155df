"""The only writer of the ledger: inserts into `attempt`, one statement per batch, never an update.

Writes are idempotent: the key of a final row is the execution's id, the key of an attempt its id and number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from timers.database import connection
from timers.domain.execution_id import try_id
from timers.engine.arrays import plain_array, text_array, timestamp
from timers.engine.execution import AnyHolder
from timers.engine.outcome import Outcome


class Skip(NamedTuple):
    """The final row of an occurrence that was not run; it also represents `missed_count` further instants."""

    id: str
    group_id: int
    timer_id: int
    name: str
    scheduled_us: int
    reason: str
    missed_count: int


_WRITE_SKIPS = f"""
INSERT INTO timers_attempt (id, group_id, timer_id, name, scheduled_for, attempt, outcome, reason, origin, finished_at,
                            missed_count)
SELECT u.id, u.group_id, u.timer_id, u.name, {timestamp("u.scheduled_us")}, 0, 'skipped', u.reason, 'schedule',
       {timestamp("%s")}, u.missed_count
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::int[])
     AS u(id, group_id, timer_id, name, scheduled_us, reason, missed_count)
ON CONFLICT (id) DO NOTHING
"""

# By far the most frequent rows: first attempts that succeeded without a result. Ten arrays instead of twenty.
_WRITE_PLAIN = f"""
INSERT INTO timers_attempt (id, group_id, timer_id, name, scheduled_for, attempt, outcome, origin, node, worker, fence,
                            claimed_at, started_at, finished_at, missed_count)
SELECT u.id, u.group_id, u.timer_id, u.name, {timestamp("u.scheduled_us")}, u.attempt, 'succeeded', u.origin,
       %s, %s, u.fence, {timestamp("u.claimed_us")}, {timestamp("u.started_us")}, {timestamp("u.finished_us")},
       u.missed_count
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::int[], %s::text[], %s::bigint[],
            %s::bigint[], %s::bigint[], %s::bigint[], %s::int[])
     AS u(id, group_id, timer_id, name, scheduled_us, attempt, origin, fence, claimed_us, started_us, finished_us,
          missed_count)
ON CONFLICT (id) DO NOTHING
"""

_WRITE_WITH = f"""
INSERT INTO timers_attempt (id, group_id, timer_id, name, scheduled_for, attempt, outcome, reason, origin, node, worker,
                            fence, claimed_at, started_at, finished_at, missed_count, result, error_title, error_detail,
                            error_fingerprint, log, exchange, step{{column}})
SELECT u.id, u.group_id, u.timer_id, u.name, {timestamp("u.scheduled_us")}, u.attempt, u.outcome, u.reason, u.origin,
       %s, %s, u.fence, {timestamp("u.claimed_us")}, {timestamp("u.started_us")}, {timestamp("u.finished_us")},
       u.missed_count, u.result::json, u.error_title, u.error_detail, u.error_fingerprint, u.log,
       u.exchange::json, u.step{{value}}
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::int[], %s::text[], %s::text[],
            %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::text[], %s::text[],
            %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]{{array}})
     AS u(id, group_id, timer_id, name, scheduled_us, attempt, outcome, reason, origin, fence, claimed_us, started_us,
          finished_us, missed_count, result, error_title, error_detail, error_fingerprint, log, exchange,
          step{{column}})
ON CONFLICT (id) DO NOTHING
"""
_WRITE_FULL = _WRITE_WITH.format(column="", value="", array="")
_WRITE_STEPS = _WRITE_WITH.format(column=", variables", value=", u.variables::json", array=", %s::text[]")


class Entry(NamedTuple):
    """A row to write: an outcome under the id of its attempt or, if it is final, of its execution."""

    id: str
    outcome: Outcome
    word: str


def try_entry(outcome: Outcome) -> Entry:
    """Return the row of an attempt that is not the final outcome."""
    return Entry(try_id(outcome.execution.id, outcome.execution.attempt), outcome, outcome.word)


def step_entry(outcome: Outcome) -> Entry:
    """Return the row of a step of an order: `advanced` if it succeeded, because the order continues."""
    word = "advanced" if outcome.word == "succeeded" else outcome.word
    return Entry(try_id(outcome.execution.id, outcome.execution.attempt), outcome, word)


def final_entry(outcome: Outcome, word: str) -> Entry:
    """Return the final row of an execution: succeeded, failed or cancelled."""
    return Entry(outcome.execution.id, outcome, word)


def write(holder: AnyHolder, entries: Sequence[Entry]) -> None:
    """Insert the rows of a batch of outcomes of one worker."""
    plain: list[Entry] = []
    full: list[Entry] = []
    for entry in entries:
        outcome = entry.outcome
        bare = outcome.result is None and outcome.log is None and outcome.exchange is None and outcome.reason is None
        (plain if bare and entry.word == "succeeded" else full).append(entry)
    with connection.cursor() as cursor:
        if plain:
            cursor.execute(_WRITE_PLAIN, (holder.node, holder.worker, *_plain_columns(plain)))
        if full:
            cursor.execute(_WRITE_FULL, (holder.node, holder.worker, *_full_columns(full)))


def write_steps(holder: AnyHolder, entries: Sequence[Entry], variables: Sequence[str | None]) -> None:
    """Insert the rows of ended steps.

    Args:
        holder: the worker.
        entries: the rows.
        variables: for each row the variables of its order that the step set, as JSON text.
    """
    if entries:
        with connection.cursor() as cursor:
            columns = (holder.node, holder.worker, *_full_columns(entries), text_array(variables))
            cursor.execute(_WRITE_STEPS, columns)


def write_skips(skips: Sequence[Skip], now_us: int) -> None:
    """Insert the final rows of skipped occurrences."""
    if skips:
        with connection.cursor() as cursor:
            cursor.execute(
                _WRITE_SKIPS,
                (
                    now_us,
                    plain_array(skip.id for skip in skips),
                    plain_array(skip.group_id for skip in skips),
                    plain_array(skip.timer_id for skip in skips),
                    text_array(skip.name for skip in skips),
                    plain_array(skip.scheduled_us for skip in skips),
                    text_array(skip.reason for skip in skips),
                    plain_array(skip.missed_count for skip in skips),
                ),
            )


def _plain_columns(entries: Sequence[Entry]) -> tuple[str, ...]:
    outcomes = [entry.outcome for entry in entries]
    executions = [outcome.execution for outcome in outcomes]
    clocks = [execution.group.clock for execution in executions]
    return (
        plain_array([entry.id for entry in entries]),
        plain_array([execution.group.id for execution in executions]),
        plain_array([execution.timer_id for execution in executions]),
        text_array([execution.name for execution in executions]),
        plain_array([execution.scheduled_us for execution in executions]),
        plain_array([execution.attempt for execution in executions]),
        plain_array([execution.origin for execution in executions]),
        plain_array([execution.fence for execution in executions]),
        plain_array([clock.at(execution.claimed_us) for execution, clock in zip(executions, clocks, strict=True)]),
        plain_array(
            [
                None if outcome.started_us is None else clock.at(outcome.started_us)
                for outcome, clock in zip(outcomes, clocks, strict=True)
            ]
        ),
        plain_array([clock.at(outcome.finished_us) for outcome, clock in zip(outcomes, clocks, strict=True)]),
        plain_array([execution.missed_count for execution in executions]),
    )


def _full_columns(entries: Sequence[Entry]) -> tuple[str, ...]:
    ids, groups, timers, names, scheduled, attempts, origins, fences, claimed, started, finished, missed = (
        _plain_columns(entries)
    )
    outcomes = [entry.outcome for entry in entries]
    return (
        ids,
        groups,
        timers,
        names,
        scheduled,
        attempts,
        plain_array([entry.word for entry in entries]),
        text_array([outcome.reason for outcome in outcomes]),
        origins,
        fences,
        claimed,
        started,
        finished,
        missed,
        text_array([outcome.result for outcome in outcomes]),
        text_array([outcome.error_title for outcome in outcomes]),
        text_array([outcome.error_detail for outcome in outcomes]),
        text_array([outcome.error_fingerprint for outcome in outcomes]),
        text_array([outcome.log for outcome in outcomes]),
        text_array([outcome.exchange for outcome in outcomes]),
        text_array([outcome.execution.step or None for outcome in outcomes]),
    )
