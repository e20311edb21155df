"""Define chains: create them, add versions, delete them."""

from __future__ import annotations

from typing import Any, Final

from django.db import IntegrityError

from timers import clock
from timers.control.audit import audited
from timers.control.chains.check import check_definition
from timers.control.chains.find import find_chain, find_group, lock_chain
from timers.control.groups import note_first_chain, note_order_priorities
from timers.control.names import check_name
from timers.database import transaction
from timers.domain.chains import parse_chain
from timers.engine.orders.capacities import chain_scopes
from timers.engine.orders.holds import unblock_chain
from timers.exceptions import NotAllowedNow, StaleVersion, TimerExists
from timers.models import Chain, ChainOrder, ChainVersion

_COUNTED: Final = 1_000
"""Maximum number of open orders that an error message counts."""


def create_chain(group: str, name: str, definition: dict[str, Any], *, actor: str = "") -> Chain:
    """Create a chain of a group.

    Args:
        group: The name of the group whose timers and orders use it.
        name: Unique in the group.
        definition: The steps, as docs/chains.md describes them; with the builder: `chain.definition`.
        actor: Who requests it, for the audit trail; empty: the current actor.

    Raises:
        InvalidRequest: The definition is invalid; each error names its place.
        TimerExists: The group has a chain of that name.
        TimerNotFound: There is no such group.
    """
    row = find_group(group)
    checked = check_definition(name, definition, row)
    spec, now = checked.to_json(), clock.now()
    chain = Chain(
        group=row, name=check_name("name", name), created_at=now, created_by=actor, updated_at=now, updated_by=actor
    )
    try:
        with audited("chain.create", actor, group=group, name=name) as entry, transaction.atomic():
            note_first_chain(row, has_priority=bool(checked.priority))
            chain.save()
            ChainVersion.objects.create(chain=chain, version=1, definition=spec, created_at=now, created_by=actor)
            entry.made(chain)
    except IntegrityError:
        raise TimerExists("name", f"group {group} has a chain of that name", given=name) from None
    return chain


def update_chain(
    group: str, name: str, definition: dict[str, Any], *, version: int | None = None, actor: str = ""
) -> Chain:
    """Add a version to a chain: new orders use it, open orders finish on theirs.

    Its `max_orders` and capacities of locks count for the orders of all versions from then on.

    A definition equal to the newest version changes nothing.

    Args:
        group: The name of the group.
        name: The name of the chain.
        definition: The steps, as docs/chains.md describes them.
        version: The newest version as the caller read it; None: no check.
        actor: Who requests it, for the audit trail; empty: the current actor.

    Raises:
        InvalidRequest: The definition is invalid.
        StaleVersion: The chain got a new version meanwhile.
        TimerNotFound: There is no such group or chain.
    """
    row = find_group(group)
    checked = check_definition(name, definition, row)
    spec = checked.to_json()
    with transaction.atomic():
        if checked.priority:
            note_order_priorities(row)
        chain = lock_chain(group, name)
        _check_version(chain, version)
        newest = chain.versions.get(version=chain.newest)
        if (before := parse_chain(newest.definition)) == parse_chain(spec):
            return chain
        now = clock.now()
        chain.newest, chain.updated_at, chain.updated_by = chain.newest + 1, now, actor
        with audited("chain.update", actor, group=group, name=name) as entry:
            ChainVersion.objects.create(
                chain=chain, version=chain.newest, definition=spec, created_at=now, created_by=actor
            )
            chain.save(update_fields=["newest", "updated_at", "updated_by"])
            entry.changed("newest", chain.newest - 1, chain.newest)
            unblock_chain(chain_scopes(before, chain.id))
    return chain


def delete_chain(group: str, name: str, *, version: int | None = None, actor: str = "") -> None:
    """Delete a chain; the ledger keeps its history.

    Args:
        group: The name of the group.
        name: The name of the chain.
        version: The newest version as the caller read it; None: no check.
        actor: Who requests it, for the audit trail; empty: the current actor.

    Raises:
        NotAllowedNow: Orders are open. Cancel them, or let them finish, first.
        StaleVersion: The chain got a new version meanwhile.
        TimerNotFound: There is no such group or chain.
    """
    with transaction.atomic():
        chain = lock_chain(group, name)
        _check_version(chain, version)
        # Counted up to a bound: a chain may have a million open orders.
        under_way = ChainOrder.objects.filter(chain=chain, ended_at=None)[: _COUNTED + 1].count()
        if under_way:
            number = f"{_COUNTED:,}+" if under_way > _COUNTED else f"{under_way:,}"
            raise NotAllowedNow(f"chain: {number} of its orders are under way. Cancel them first.")
        with audited("chain.delete", actor, group=group, name=name) as entry:
            entry.gone(chain)
            find_chain(group, name).delete()


def _check_version(chain: Chain, version: int | None) -> None:
    if version is not None and chain.newest != version:
        raise StaleVersion(f"chain {chain.name!r} has version {chain.newest} by now, not {version}; read it again")
