"""Writes docs/kinds.md: `python -m timerproject.kinds_page > docs/kinds.md`."""

from __future__ import annotations

import json

from timers import actions, schedules

_PAGE = """# Kinds of schedules and actions

All kinds that this version has, from the code that defines them; how to add one of your own is
[below](#your-own-kinds).

## Schedules

The keywords are those of the Python functions, of REST bodies and of files; [schedules](schedules.md) has the rules.

| kind | what it does | keywords (required ones in bold) | example |
|---|---|---|---|
{schedules}

## Actions

| kind | what it does | example |
|---|---|---|
{actions}

## Your own kinds

A Django app of the project can bring further kinds in its `timer_handlers.py`, which every process imports: a subclass
of `timers.schedules.schedule.Schedule` with `@timers.schedules.kinds.register`, or of `timers.actions.Action` with
`@timers.actions.register`. Its keywords are then known to the Python API (`schedule_timer`), REST and its description,
declared timers in files, and the admin. Install a kind on all nodes and web processes before it is used.
"""


def page() -> str:
    """Return the text of the page for the kinds that there are."""
    return _PAGE.format(
        schedules="\n".join(_schedule_row(kind) for kind in schedules.KINDS.values()),
        actions="\n".join(_action_row(kind) for kind in actions.KINDS.values()),
    )


def _schedule_row(kind: type[schedules.Schedule]) -> str:
    keywords = ", ".join(f"**{each.name}**" if each.is_required else each.name for each in kind.keywords)
    return f"| `{kind.kind}` | {kind.summary} | {keywords} | `{json.dumps(kind.example)}` |"


def _action_row(kind: type[actions.Action]) -> str:
    return f"| `{kind.kind}` | {kind.summary} | `{json.dumps(kind.example)}` |"


if __name__ == "__main__":
    print(page(), end="")
