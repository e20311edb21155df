"""Claim: take ready executions out of waiting. The counterpart of fire."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from timers.database import transaction
from timers.engine.allowance import Allowance
from timers.engine.end_waiting import end_waiting
from timers.engine.execution import AnyHolder, Execution, Leading, ServedGroup
from timers.engine.fence import insert_claim
from timers.engine.group_limits import hold_allowance, ready_soon_us
from timers.engine.keyed_due import WINDOW
from timers.engine.keyed_ready import keyed_ready
from timers.engine.limited_look import GROWTH
from timers.engine.orders import holds
from timers.engine.orders.claimed import attach
from timers.engine.ready_rows import delete_ready_rows, execution_of, lock_ready_rows, ready_priorities
from timers.engine.turn import rows_in_turn
from timers.engine.unserved import Unserved
from timers.models import Timer

LOOKS: Final = 20
"""Batches of executions of cancelled timers that one claim ends, at most, to reach executions that may run."""


@dataclass(slots=True)
class LeftReady:
    """What claims of ready executions left, and why. Instants are microseconds by the database clock."""

    is_limited: bool = False
    """Whether the rest must wait for the limits of the group."""
    rests_us: list[int] = field(default_factory=list)
    """Until when the limits of the group allow nothing, whatever ends before."""
    looks_us: list[int] = field(default_factory=list)
    """When executions within the look-ahead become available that are not claimed ahead of that instant."""


@dataclass(slots=True)
class _Look:
    """One look for ready executions, in rounds. Executions only ended or postponed use no limits."""

    group: ServedGroup
    allowance: Allowance | None
    """What the limits allow it to claim; None: the group has no limits."""
    horizon_us: int
    """By the group's clock."""
    leave: Collection[str]
    leading: Leading | None
    roles: Collection[str] | None = None
    """Roles of the node; None: steps may require any role."""
    more: bool = False
    """Whether the limits by key allow, or may allow, more."""
    rest_seconds: float = 0.0
    has_written: bool = False
    _seen: list[str] = field(default_factory=list)
    """Ids that earlier rounds looked at and locked."""
    _spare: int = 1
    """How many executions are looked at for each one that may be claimed."""

    def rows(self, ordinals: Sequence[int], wanted: int) -> list[dict[str, Any]]:
        """Lock and return the rows of the next round, for at most `wanted` executions."""
        rows: list[dict[str, Any]] = []
        if self.allowance is None:
            for ordinal in ordinals:
                if len(rows) < wanted:
                    rows += self._locked(ordinal, wanted - len(rows))
            return rows
        most = min(wanted, self.allowance.most)
        limit = max(most, min(most * self._spare, WINDOW))
        self.more = False
        for ordinal in ordinals:
            left, ids = limit - len(rows), None
            if left < 1:
                self.more = True
                break
            if self.group.limits.is_keyed:
                found = keyed_ready(
                    self.allowance, ordinal, horizon_us=self.horizon_us, limit=left, seen=self._seen, leave=self.leave,
                    spare=self._spare,
                )  # fmt: skip
                ids, left = found.ids, max(left, len(found.ids))
                self.more |= found.more
                self.rest_seconds = max(self.rest_seconds, found.rest_seconds)
                self.has_written |= found.has_written
            if ids is None or ids:
                rows += self._locked(ordinal, left, ids)
        self._spare *= GROWTH
        return rows

    def _locked(self, ordinal: int, limit: int, ids: Collection[str] | None = None) -> list[dict[str, Any]]:
        if ordinal or ids is not None or not self.group.orders_by_priority:
            return self._locked_with(None, ordinal, limit, ids)
        rows: list[dict[str, Any]] = []
        for priority in ready_priorities(self.group, ordinal, self.horizon_us):
            if len(rows) < limit:
                rows += self._locked_with(priority, ordinal, limit - len(rows), ids)
        return rows

    def _locked_with(
        self, priority: int | None, ordinal: int, limit: int, ids: Collection[str] | None
    ) -> list[dict[str, Any]]:
        return lock_ready_rows(
            self.group,
            ordinal,
            self.horizon_us,
            limit,
            self.leave,
            self.leading,
            ids=ids,
            seen=self._seen,
            roles=self.roles,
            priority=priority,
        )

    def chosen(self, rows: list[dict[str, Any]], wanted: int) -> list[dict[str, Any]]:
        """Return those of the locked rows that the limits allow; the others stay unchanged."""
        if self.allowance is None:
            return rows
        if self.group.limits.is_keyed:
            rows = [rows[place] for place in self.allowance.fitting([row["timer_key"] for row in rows])]
        rows = rows[: min(wanted, self.allowance.most)]
        self._seen += [str(row["id"]) for row in rows]
        return rows

    def goes_on(self, found: int, ended: int, claimed: int) -> bool:
        """Return whether another round can find executions that this one did not.

        Args:
            found: number of rows of the round, without those that were ended.
            ended: number of rows that were ended.
            claimed: number of rows that are claimed.
        """
        if self.allowance is None:
            return ended > 0 and not found
        return ended > 0 or claimed < found

    def note(self, left: LeftReady, now_us: int, *, is_vain: bool) -> None:
        """Record in `left` how limits affect the rest.

        Args:
            left: receives the facts.
            now_us: microseconds by the database clock.
            is_vain: there were rows, and all stayed unchanged.
        """
        assert self.allowance is not None
        is_keyed = self.group.limits.is_keyed
        left.is_limited |= self.allowance.most < 1 or (is_keyed and bool(self.allowance.refused) and not self.more)
        if is_keyed and self.more and not is_vain:
            left.rests_us.append(now_us)  # at once: there may be others behind the claimed ones
        if self.rest_seconds:
            left.looks_us.append(now_us + round(self.rest_seconds * 1_000_000))
        left.looks_us += self.allowance.looks_us()


def claim_ready(
    holder: AnyHolder,
    group: ServedGroup,
    *,
    now_us: int,
    horizon_us: int,
    limit: int,
    unserved: Unserved | None = None,
    of: Sequence[int] | None = None,
    leading: Leading | None = None,
    left: LeftReady | None = None,
    roles: Collection[str] | None = None,
) -> list[Execution]:
    """Claim up to `limit` ready executions of a group that are available at or before the horizon.

    Args:
        holder: the worker or consumer.
        group: the group.
        now_us: microseconds since 1970 UTC.
        horizon_us: microseconds since 1970 UTC.
        limit: number of executions.
        unserved: handlers whose work is left for nodes that know them; those encountered are added. None: the caller
            needs no handler.
        of: subscriptions whose executions are claimed, one after the other, on behalf of the first. None: those that
            workers serve, each for itself.
        leading: the leadership without which nothing is claimed.
        left: receives the facts about what was left.
        roles: roles of the node, which steps of orders may require; None: all.
    """
    left = LeftReady() if left is None else left
    with transaction.atomic():
        allowance = hold_allowance(group, holder, now_us, horizon_us) if group.limits else None
        if allowance is not None and min(limit, allowance.most) < 1:
            left.is_limited = True
            left.rests_us += [] if allowance.rest_until_us is None else [allowance.rest_until_us]
            return []
        leave = () if unserved is None else unserved.known_with(group)
        if group.limits.is_rated:
            # Executions under a rate limit are not claimed ahead of their instant; the claimer looks again at that
            # instant.
            if of is None:
                left.looks_us += ready_soon_us(group, group.for_workers(leave), now_us, horizon_us)
            horizon_us = min(now_us, horizon_us)
        look = _Look(group, allowance, group.clock.horizon(now_us, horizon_us), leave, leading, roles)
        executions, ended, looked = list[Execution](), 0, 0
        for _ in range(LOOKS):
            wanted = limit - len(executions)
            if wanted < 1 or (allowance is not None and allowance.most < 1):
                break
            found = look.rows(group.for_workers(leave) if of is None else of, wanted)
            looked += len(found)
            # An attempt was running when its timer was cancelled (or deleted), and came back to be retried.
            given_up = [str(row["id"]) for row in found if _is_given_up(row)]
            if given_up:
                end_waiting("id = ANY(%(ids)s::uuid[])", "cancelled", "the timer was cancelled", ids=given_up)
                ended += len(given_up)
                found = [row for row in found if not _is_given_up(row)]
            rows = look.chosen(found, wanted)
            if unserved is not None:
                rows = [
                    row for row in rows if row["subscription"] or not unserved.leaves(row["action"], row["handler"])
                ]
            rows = rows_in_turn(rows, group, group.clock.at(now_us))
            claimed = [execution_of(row, group, row["subscription"] if of is None else of[0]) for row in rows]
            attach(claimed)
            claimed, blocked = holds.admit(claimed)
            executions += claimed
            if allowance is not None:
                for execution in claimed:
                    allowance.take(execution)
            # Newly blocked executions do not hide those behind them.
            if not look.goes_on(len(found) - blocked, len(given_up) + blocked, len(claimed)):
                break
        if allowance is not None:
            look.note(left, now_us, is_vain=looked > 0 and not executions and not ended)
        if not executions:
            if allowance is not None and not looked and not look.has_written:
                transaction.set_rollback(True)  # an enclosing transaction would keep the limit lock
            return []
        delete_ready_rows(executions)
        if allowance is not None:
            allowance.save()
        insert_claim(holder, group, executions, now_us)
        holds.hold(executions)
    return executions


def _is_given_up(row: dict[str, Any]) -> bool:
    """Whether the timer is cancelled or deleted. Orders of chains still run their finally steps."""
    return row["step"] is None and row["timer_state"] in (None, Timer.State.CANCELLED)
