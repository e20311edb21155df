"""Apply a change of a group's limits to its timers, claims and rates, in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from timers.control.key_settings import key_setting
from timers.database import transaction
from timers.domain.limit_keys import NO_KEY
from timers.engine.fence import note_limits
from timers.engine.rekey import lock_keyed, rekey
from timers.models import RateState, TimerGroup


@dataclass(frozen=True, slots=True)
class LimitChange:
    """The limits of a group that is locked against fires, as they were before the change."""

    _rates: tuple[str | None, str | None]
    _key_setting: str | None
    _is_concurrent: bool

    @classmethod
    def begin(cls, group: TimerGroup) -> LimitChange:
        """Return the group's present limits."""
        return cls((group.max_rate, group.max_rate_per_key), key_setting(group), _is_concurrent(group))

    def lock(self, group: TimerGroup) -> None:
        """Lock the timers whose keys change. Call it before claims are locked: the order of all locks."""
        if key_setting(group) != self._key_setting:
            lock_keyed(group)

    def carry_out(self, group: TimerGroup) -> None:
        """Apply the new limits. Call it after executions were called back, so that they are due again or wait."""
        # A new rate begins with a full burst; an unchanged one keeps its state.
        states = RateState.objects.filter(group=group)
        if group.max_rate != self._rates[0]:
            states.filter(key=NO_KEY).delete()
        if group.max_rate_per_key != self._rates[1]:
            states.exclude(key=NO_KEY).delete()
        if key_setting(group) != self._key_setting:
            rekey(group)
            if self._key_setting is None:
                transaction.on_commit(partial(rekey_again, group.id))
        is_newly_keyed = key_setting(group) is not None and self._key_setting is None
        if is_newly_keyed or (_is_concurrent(group) and not self._is_concurrent):
            note_limits(group.id)


def _is_concurrent(group: TimerGroup) -> bool:
    # Not by group.limits(), which raises for values written by hand: a change must be able to correct these.
    return group.max_concurrency is not None or group.max_concurrency_per_key is not None


def rekey_again(group_id: int) -> None:
    """Set the keys of timers that were written while their group began to limit by key.

    Only writers that know that a group limits by key check its settings. A timer that a long transaction wrote
    meanwhile, and commits after this, has no key until it is changed.
    """
    with transaction.atomic():
        group = TimerGroup.objects.select_for_update().filter(id=group_id).first()
        if group is not None:
            # All timers before the first waiting execution, as in the change itself: rekey works in batches.
            lock_keyed(group)
            rekey(group)
