"""Locks that the chains of a group share: declare them, change their capacity, delete them."""

from __future__ import annotations

from functools import partial
from typing import Any

from timers.control.audit import audited
from timers.control.chains.check import uses_lock
from timers.control.chains.find import find_group
from timers.control.names import check_name
from timers.database import transaction
from timers.domain.chains.limits import MAX_CAPACITY
from timers.engine.orders.definitions import definition_of
from timers.engine.orders.holds import unblock_lock
from timers.exceptions import InvalidRequest, NotAllowedNow, TimerNotFound
from timers.models import ChainLock, ChainVersion


def set_lock(group: str, name: str, capacity: Any, *, actor: str = "") -> ChainLock:
    """Declare a lock, or change how many orders may hold it at once.

    Steps that begin later use the new capacity, and waiting orders continue if there is room now.

    Args:
        group: The name of the group.
        name: The name of the lock.
        capacity: How many orders may hold it at once, at least 1.
        actor: Who requests it; empty: the current actor.

    Raises:
        InvalidRequest: The name or the capacity is invalid.
        TimerNotFound: There is no such group.
    """
    row = find_group(group)
    if isinstance(capacity, bool) or not isinstance(capacity, int) or not 1 <= capacity <= MAX_CAPACITY:
        raise InvalidRequest("capacity", f"must be a whole number from 1 to {MAX_CAPACITY:,}", given=capacity)
    with audited("lock.set", actor, group=group, name=check_name("name", name)) as entry:
        lock = ChainLock.objects.select_for_update().filter(group=row, name=name).first()
        if lock is None:
            lock = ChainLock.objects.create(group=row, name=name, capacity=capacity)
            entry.made(lock)
        else:
            entry.watch(lock)
            lock.capacity = capacity
            lock.save(update_fields=["capacity"])
            if entry.has_changes:
                # After the commit, as the order of locks requires; if this process dies before, any node does it.
                transaction.on_commit(partial(_unblock, row.id, name, capacity), robust=True)
            else:
                entry.nothing()
    return lock


@transaction.atomic()
def _unblock(group_id: int, name: str, capacity: int) -> None:
    unblock_lock(group_id, name, capacity)


def delete_lock(group: str, name: str, *, actor: str = "") -> None:
    """Delete a lock that no chain uses.

    Raises:
        NotAllowedNow: The newest version of a chain uses it.
        TimerNotFound: There is no such group or lock.
    """
    with audited("lock.delete", actor, group=group, name=name) as entry:
        lock = ChainLock.objects.select_for_update().filter(group=find_group(group), name=name).first()
        if lock is None:
            raise TimerNotFound(f"group {group!r} has no lock {name!r}")
        versions = ChainVersion.objects.filter(chain__group=lock.group).select_related("chain")
        users = [
            version.chain.name for version in versions
            if version.version == version.chain.newest and uses_lock(definition_of(version.id).chain, name)
        ]  # fmt: skip
        if users:
            raise NotAllowedNow(f"lock: is taken by chain {', '.join(users[:5])}. Give these other locks first.")
        entry.gone(lock)
        lock.delete()
