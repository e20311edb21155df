"""Jobs: what a `*.job.xml` defines for the orders that the job processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from timers.domain.chains.jobscheduler.notes import Notes
from timers.domain.chains.jobscheduler.values import read_flag, read_seconds, read_whole
from timers.domain.chains.jobscheduler.xml_text import Element, Source, read_xml
from timers.domain.errors import ErrorCollector
from timers.domain.policies import MAX_RETRIES

MOST_DELAYS: Final = 100
"""Maximum number of delays that are written individually; after them the last one applies."""
_TAKEN: Final = {"name", "title", "order", "timeout", "tasks"}
_ATTRIBUTES: Final = {
    "process_class": "has no counterpart. Give the step required_roles, and the nodes these roles.",
    "priority": "has no counterpart: the priority of a process belongs to the node.",
    "java_options": "has no counterpart: the handler is Python.",
    "stop_on_error": "has no counterpart: an error concerns one order. Stop the step by hand where it concerns all.",
    "min_tasks": "has no counterpart: the processes of a node are its workers.",
    "idle_timeout": "",
    "force_idle_timeout": "",
    "visible": "",
    "temporary": "",
    "enabled": "has no counterpart. Stop the step instead.",
    "warn_if_longer_than": "has no counterpart here.",
    "warn_if_shorter_than": "has no counterpart here.",
    "ignore_signals": "has no counterpart: a handler returns or raises.",
    "stderr_log_level": "has no counterpart: what a handler logs is kept.",
    "mail_on_error": "has no counterpart here.",
}
_ELEMENTS: Final = {
    "script": "is what the handler must do. Write it in Python.",
    "process": "is what the handler must do. Call the program from it.",
    "params": "has no counterpart: a handler gets the variables of the order. Give them as variables of the chain.",
    "delay_after_error": "has no counterpart: it concerns a job without orders. Use retry of the step.",
    "monitor": "has no counterpart. Do it in the handler.",
    "run_time": "has no counterpart: steps run at any time. Use a wait step with a cron expression before it.",
    "environment": "has no counterpart. Set it where the node starts.",
    "commands": "has no counterpart. Lead to other steps by on_error or a choice.",
    "start_when_directory_changed": "has no counterpart: it concerns a job without orders.",
    "settings": "has no counterpart: mails and history are settings of the service.",
    "description": "",
    "monitor.use": "has no counterpart. Do it in the handler.",
    "login": "has no counterpart: handlers run as the user of the node.",
    "include": "has no counterpart. Put what it includes into the file.",
}


@dataclass(frozen=True, slots=True)
class Job:
    """Settings of a job that apply to its step."""

    retry: dict[str, Any] | None = None
    """Retry policy from delay_order_after_setback; None: the job has none."""
    timeout: float | None = None
    tasks: int | None = None
    locks: tuple[str, ...] = ()
    element: Element | None = field(default=None, compare=False)


def read_job(source: Source, notes: Notes) -> Job:
    """Read a job; add a note for everything without a counterpart. Raises InvalidRequest if it cannot be read."""
    root = read_xml(source)
    if root.name != "job":
        raise root.error(root.name, "must be <job>. Put the *.job.xml of the job next to the chain.")
    mistakes = ErrorCollector()
    is_stopped = mistakes.check(lambda: read_flag(root, "job", "stop_on_error", False))
    # An attribute with its default value is no loss.
    silent = set() if is_stopped else {"stop_on_error"}
    empty = {child.name for child in root.children if child.name == "run_time" and not child.has_content}
    notes.attributes(root, "job", _ATTRIBUTES, _TAKEN | silent)
    notes.elements(root, "job", _ELEMENTS, {"delay_order_after_setback", "lock.use"} | empty)
    retry = mistakes.check(lambda: _read_retry(root, notes))
    timeout = mistakes.check(lambda: _read_timeout(root, notes))
    tasks = mistakes.check(lambda: read_whole(root, "job", "tasks"))
    locks = mistakes.check(lambda: _read_locks(root, notes), ())
    mistakes.raise_if_any()
    return Job(retry, timeout, tasks or None, locks, root)


def _read_retry(root: Element, notes: Notes) -> dict[str, Any] | None:
    found = [child for child in root.children if child.name == "delay_order_after_setback"]
    if not found:
        return None
    delays: dict[int, float] = {}
    maximum: int | None = None
    subject = "delay_order_after_setback"
    for each in found:
        notes.attributes(each, subject, {}, {"setback_count", "is_maximum", "delay"})
        count = read_whole(each, subject, "setback_count")
        if not count:
            raise each.error(f"{subject}@setback_count", "must be a whole number of at least 1", given=count)
        if count in delays:
            raise each.error(f"{subject}@setback_count", "is given twice. Remove one of them.", given=count)
        delay = read_seconds(each, subject, "delay")
        if read_flag(each, subject, "is_maximum", False):
            maximum = count
        delays[count] = _delay_at(delays, count) if delay is None else delay
    if maximum is None:
        notes.add(
            found[-1], f"{subject}@is_maximum",
            f"no maximum is given, and JobScheduler would go on for ever: it ends after {MAX_RETRIES:,} retries.",
        )  # fmt: skip
    elif maximum > MAX_RETRIES:
        notes.add(found[-1], f"{subject}@is_maximum", f"is lowered to {MAX_RETRIES:,} retries.")
    retries = min(maximum or MAX_RETRIES, MAX_RETRIES)
    last = min(max(delays), retries, MOST_DELAYS)
    if max(delays) > MOST_DELAYS and retries > MOST_DELAYS:
        what = f"only the first {MOST_DELAYS} delays are taken. The last of them applies to all that follow."
        notes.add(found[-1], f"{subject}@setback_count", what)
    return {"delays": [_delay_at(delays, number) for number in range(1, last + 1)], "max_retries": retries}


def _delay_at(delays: dict[int, float], count: int) -> float:
    """Return the delay before that setback: that of the largest count up to it; 0 before the first."""
    known = [each for each in delays if each <= count]
    return delays[max(known)] if known else 0


def _read_timeout(root: Element, notes: Notes) -> float | None:
    timeout = read_seconds(root, "job", "timeout")
    if timeout == 0:
        notes.add(root, "job@timeout", "0 is not taken: the timeout of the group applies.")
        return None
    return timeout


def _read_locks(root: Element, notes: Notes) -> tuple[str, ...]:
    names: list[str] = []
    for each in root.children:
        if each.name != "lock.use":
            continue
        notes.attributes(each, "lock.use", {}, {"lock", "exclusive"})
        path = each.attributes.get("lock", "")
        if not path:
            raise each.error("lock.use@lock", "is missing. Name the lock.")
        if not read_flag(each, "lock.use", "exclusive", True):
            what = "a lock that is not exclusive becomes one of capacity 1. Give its capacity in locks of the chain."
            notes.add(each, "lock.use@exclusive", what)
        name = path.rstrip("/").rpartition("/")[2]
        if name not in names:
            names.append(name)
    if names:
        what = 'belongs to the chain. Where other chains use it too, declare it by set_lock and write "shared" here.'
        notes.add(root, "job/lock.use", what)
    return tuple(names)
