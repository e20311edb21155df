"""Stop, skip and activate steps of chains; stop and start whole chains.

Only the row changes: every node sees it with its next claim, and it survives the death of all nodes. Orders that waited
at a step or chain that is no longer stopped continue in batches, by any node (timers/engine/orders/releasing.py). The
verb itself releases the first batch after its commit: within the transaction it would lock timers and orders while it
holds the chain, against the order of locks. If the process dies between, the nodes find the chain that `is_releasing`.
"""

from __future__ import annotations

from difflib import get_close_matches

from timers import clock
from timers.control.audit import audited
from timers.control.chains.find import lock_chain
from timers.database import transaction
from timers.domain.chains.steps import JoinStep
from timers.engine.orders.definitions import definition_of
from timers.engine.orders.releasing import release_orders
from timers.exceptions import InvalidRequest
from timers.models import Chain, ChainStep


def stop_step(group: str, chain: str, step: str, *, reason: str = "", actor: str = "") -> ChainStep:
    """Let orders wait before a step; running attempts of it finish.

    Args:
        group: The name of the group.
        chain: The name of the chain.
        step: The name of the step.
        reason: Why, for the record.
        actor: Who requests it; empty: the current actor.

    Raises:
        TimerNotFound: There is no such chain.
        InvalidRequest: There is no such step, or it cannot have this state.
    """
    return _set_step(group, chain, step, ChainStep.State.STOPPED, reason, actor)


def skip_step(group: str, chain: str, step: str, *, reason: str = "", actor: str = "") -> ChainStep:
    """Let orders pass a step without running it.

    Args:
        group: The name of the group.
        chain: The name of the chain.
        step: The name of the step.
        reason: Why, for the record.
        actor: Who requests it; empty: the current actor.

    Raises:
        TimerNotFound: There is no such chain.
        InvalidRequest: There is no such step, or it cannot have this state.
    """
    return _set_step(group, chain, step, ChainStep.State.SKIPPED, reason, actor)


def activate_step(group: str, chain: str, step: str, *, reason: str = "", actor: str = "") -> ChainStep:
    """Activate a step that was stopped or skipped.

    Args:
        group: The name of the group.
        chain: The name of the chain.
        step: The name of the step.
        reason: Why, for the record.
        actor: Who requests it; empty: the current actor.

    Raises:
        TimerNotFound: There is no such chain.
        InvalidRequest: There is no such step, or it cannot have this state.
    """
    return _set_step(group, chain, step, ChainStep.State.ACTIVE, reason, actor)


def stop_chain(group: str, chain: str, *, reason: str = "", actor: str = "") -> Chain:
    """Let all orders of a chain wait before their next step. Raise TimerNotFound."""
    return set_chain_state(group, chain, Chain.State.STOPPED, reason=reason, actor=actor)


def start_chain(group: str, chain: str, *, reason: str = "", actor: str = "") -> Chain:
    """Let the orders of a stopped chain continue. Raise TimerNotFound."""
    return set_chain_state(group, chain, Chain.State.ACTIVE, reason=reason, actor=actor)


_VERBS = {ChainStep.State.STOPPED: "stop", ChainStep.State.SKIPPED: "skip", ChainStep.State.ACTIVE: "activate"}


def _set_step(group: str, chain: str, step: str, state: ChainStep.State, reason: str, actor: str) -> ChainStep:
    name = f"{chain}/{step}"
    with audited(f"step.{_VERBS[state]}", actor, group=group, name=name) as entry, transaction.atomic():
        row = lock_chain(group, chain)
        _check_step(row, step, state)
        found, _ = ChainStep.objects.get_or_create(chain=row, name=step)
        entry.watch(found)
        if found.state != state:
            found.state, found.state_reason = state, reason
            found.state_changed_by, found.state_changed_at = actor, clock.now()
            found.save()
            _note_release(row)
        else:
            entry.nothing()
    return found


def set_chain_state(group: str, chain: str, state: Chain.State, *, reason: str = "", actor: str = "") -> Chain:
    """Stop or start a chain, in a transaction or as part of the caller's. Raise TimerNotFound."""
    verb = "stop" if state == Chain.State.STOPPED else "start"
    with audited(f"chain.{verb}", actor, group=group, name=chain) as entry, transaction.atomic():
        row = entry.watch(lock_chain(group, chain))
        if row.state != state:
            row.state, row.state_reason, row.state_changed_by, row.state_changed_at = state, reason, actor, clock.now()
            _note_release(row)
            row.save()
        else:
            entry.nothing()
    return row


def _note_release(chain: Chain) -> None:
    chain.is_releasing = True
    chain.save(update_fields=["is_releasing"])
    # robust: the change is committed whatever becomes of the release, which the nodes then make up for.
    transaction.on_commit(release_orders, robust=True)


def _check_step(chain: Chain, name: str, state: ChainStep.State) -> None:
    """Raise InvalidRequest for a step that the newest version does not have, or that cannot have the state.

    A step that was stopped or skipped can always be activated: orders of older versions may wait there.
    """
    if state == ChainStep.State.ACTIVE and ChainStep.objects.filter(chain=chain, name=name).exists():
        return
    definition = definition_of(chain.versions.get(version=chain.newest).id).chain
    step = definition.steps.get(name)
    if step is None:
        near = get_close_matches(name, definition.steps, n=1)
        hint = f'Did you mean "{near[0]}"?' if near else "Name one of its steps."
        raise InvalidRequest("step", f'chain {chain.name} has no step "{name}". {hint}')
    if step.can_be_passed or state == ChainStep.State.ACTIVE:
        return
    verb = _VERBS[state]
    if isinstance(step, JoinStep):
        fork = definition.forks[name]
        what = f'{verb} "{fork}", at which its branches begin, or the step behind it, "{step.next}".'
        raise InvalidRequest("step", f'"{name}" is a join, and orders wait there for their branches. Instead {what}')
    before = [each.name for each in definition.steps.values() if any(way.target == name for way in each.exits())]
    what = f"{verb} a step that leads to it ({', '.join(before[:5])})" if before else "stop the chain"
    raise InvalidRequest("step", f'"{name}" is an end, at which nothing runs. Instead {what}.')
