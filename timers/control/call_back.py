"""Call back what a change comes early enough for: executions that workers have claimed and not begun.

Each function is a part of a verb that has locked what it changes: the timer, or its group, so that no further claim is
made meanwhile. What cannot be called back is named in the verb's answer, as `in_flight`.
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
    """Undo the fires of a locked timer that have not begun; returns the ids of its executions that are in flight.

    The timer's instance is set to what it is then. `others_too`: its retries and manual runs that have not begun are
    given back, to be claimed again as the timer will be.
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
    """Call back what workers hold of locked groups and have not begun; returns the ids of what is in flight.

    `only`: of which executions. `undo`: whether fires are undone where that is possible. `give_back`: all others become
    ready again, their attempt uncounted; else they go on.
    """
    found = [each for each in claimed_of_groups(group_ids) if only(each)]
    if not found:
        return []
    timers: list[Timer] = []
    if undo:
        # Timers before claims: the order of all locks.
        wanted = {each.timer_id for each in found if each.is_first}
        timers = list(Timer.objects.filter(id__in=wanted).order_by("id").select_for_update(no_key=True))

    def choose(found: Sequence[UnderWay]) -> Collection[str]:
        return {each.id for each in found if each.process and only(each) and (give_back or each.is_first)}

    called_back = call_back(lambda: claimed_of_groups(group_ids), choose)
    called_back.others = [each for each in called_back.others if only(each)]
    return _carry_out(called_back, timers, give_back=lambda _: give_back)


def first_attempts_of(group_ids: Collection[int], only: Callable[[UnderWay], bool] = lambda _: True) -> set[int]:
    """The timers of locked groups whose fires call_back_groups may undo. To be locked before claims are."""
    return {each.timer_id for each in claimed_of_groups(group_ids) if each.is_first and only(each)}


def _carry_out(
    called_back: CalledBack, timers: Collection[Timer], *, give_back: Callable[[UnderWay], bool]
) -> list[str]:
    """Undo fires of these timers and give back the rest where it is to be; returns what goes on."""
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
