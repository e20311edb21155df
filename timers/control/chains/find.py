"""Find chains by their names."""

from __future__ import annotations

from collections.abc import Iterable

from timers.exceptions import TimerNotFound
from timers.models import Chain, TimerGroup


def find_group(name: str) -> TimerGroup:
    """Return the group of that name. Raise TimerNotFound if there is none."""
    row = TimerGroup.objects.filter(name=name).first()
    if row is None:
        raise TimerNotFound(f"there is no group {name!r}")
    return row


def find_chain(group: str, name: str) -> Chain:
    """Return the chain of that name. Raise TimerNotFound if there is no such group or chain."""
    return _found(Chain.objects.filter(group__name=group, name=name).select_related("group").first(), group, name)


def lock_chain(group: str, name: str) -> Chain:
    """Return the chain of that name, locked against other changes until the transaction ends. Raise TimerNotFound."""
    locked = Chain.objects.filter(group__name=group, name=name).select_related("group").select_for_update(of=("self",))
    return _found(locked.first(), group, name)


def lock_chains(ids: Iterable[int]) -> list[int]:
    """Lock chains by rising id, the order of locks, until the transaction ends; return those that exist."""
    rows = Chain.objects.filter(id__in=list(ids)).order_by("id").select_for_update()
    return list(rows.values_list("id", flat=True))


def _found(chain: Chain | None, group: str, name: str) -> Chain:
    if chain is None:
        raise TimerNotFound(f"group {group!r} has no chain {name!r}")
    return chain
