"""Call back executions that workers have claimed but not begun, so that a change still applies to them.

Each function is part of an operation that has locked what it changes: the timer, or its group. So no further claim is
made meanwhile. Executions that cannot be called back are listed in the operation's result, as `in_flight`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from timers import clock
from timers.engine import waiting_rows
from timers.engine.claimed import load_claimed
from timers.engine.under_way import CalledBack, UnderWay, call_back, claimed_of_groups, under_way_of
from timers.engine.undo_fire import take_out, undo_fires, undoable
from timers.engine.wakeup import wake_if_soon
from timers.models import Timer
from timers.schedules.instant import to_microseconds


def call_back_fires(timer: Timer, *, others_too: bool = False) -> list[str]:
    """Undo the fires of a locked timer that have not begun. Return the ids of its executions that are in flight.

    The timer instance is updated to the new state.

    Args:
        timer: the locked timer.
        others_too: also release its retries and manual runs that have not begun, to be claimed again with the changed
            timer.
    """

    def find() -> list[UnderWay]:
        return under_way_of(timer.group_id, [timer.id])

    def choose(found: Sequence[UnderWay]) -> Collection[str]:
        firsts = undoable(timer, found)
        return {each.id for each in found if each.id in firsts or (others_too and each.process and not each.is_first)}

    return _carry_out(call_back(find, choose), [timer], give_back=lambda each: others_too and not each.is_first)


def call_back_groups(
    group_ids: Collection[int],
    *,
    only: Callable[[UnderWay], bool] = lambda _: True,
    undo: bool = True,
    give_back: bool = True,
) -> list[str]:
    """Call back the executions of locked groups that workers have claimed but not begun.

    Args:
        group_ids: ids of the locked groups.
        only: restricts the call to matching executions.
        undo: whether fires are undone where possible.
        give_back: whether all others become ready again, without counting the attempt; if not, they continue.

    Returns:
        The ids of the executions that are in flight.
    """
    found = [each for each in claimed_of_groups(group_ids) if only(each)]
    if not found:
        return []
    timers: list[Timer] = []
    if undo:
        # Lock timers before claims: the order of all locks.
        wanted = {each.timer_id for each in found if each.is_first}
        timers = list(Timer.objects.filter(id__in=wanted).order_by("id").select_for_update(no_key=True))

    def choose(found: Sequence[UnderWay]) -> Collection[str]:
        return {each.id for each in found if each.process and only(each) and (give_back or each.is_first)}

    called_back = call_back(lambda: claimed_of_groups(group_ids), choose)
    called_back.others = [each for each in called_back.others if only(each)]
    return _carry_out(called_back, timers, give_back=lambda _: give_back)


def first_attempts_of(group_ids: Collection[int], only: Callable[[UnderWay], bool] = lambda _: True) -> set[int]:
    """Return the timers of locked groups whose fires call_back_groups may undo. Lock them before claims."""
    return {each.timer_id for each in claimed_of_groups(group_ids) if each.is_first and only(each)}


def _carry_out(
    called_back: CalledBack, timers: Collection[Timer], *, give_back: Callable[[UnderWay], bool]
) -> list[str]:
    """Undo fires of these timers and release the rest as `give_back` decides. Return the ids that continue."""
    undone = undo_fires(called_back, timers) if timers and called_back.unbegun else set()
    rest = [each for each in called_back.unbegun if each.id not in undone and each.fence is not None]
    given_back = [each for each in rest if give_back(each)]
    if given_back:
        _give_back(called_back, given_back)
    if undone or given_back:
        now = clock.now()
        wake_if_soon([now], now)
    return sorted([*called_back.in_flight, *(each.id for each in rest if each not in given_back)])


def _give_back(called_back: CalledBack, executions: Sequence[UnderWay]) -> None:
    """Make locked, claimed executions ready again at their own instants."""
    held = load_claimed({each.fence for each in executions if each.fence}, {each.id for each in executions})
    waiting_rows.insert([waiting_rows.unbegun(execution) for execution, _ in held], to_microseconds(clock.now()))
    take_out(called_back.held, executions)
