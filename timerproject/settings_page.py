"""Write docs/settings.md from the tables: `python -m timerproject.settings_page > docs/settings.md`."""

from __future__ import annotations

from typing import Final

from timers.conf import LOOK_AHEAD_MARGIN
from timers.conf.setting import Setting
from timers.conf.table import TABLE

PROJECT: Final = (
    (
        "DATABASE_URL",
        "the embedded database",
        "`postgresql://user:password@host:5432/name`. Socket folders are percent-encoded: "
        "`postgresql://user@%2Fvar%2Frun%2Fpostgresql/name`. Several hosts, separated by commas: the first that can be "
        "written to and [is not refused](running.md#failover) is used.",
    ),
    (
        "SECRET_KEY",
        "kept in `var/secret_key`",
        "Signs sessions and links. Needed when `DATABASE_URL` is set: the same for all web processes, at "
        "least 50 random characters.",
    ),
    (
        "SECRET_KEY_FALLBACKS",
        "none",
        "Secret keys that were used before, separated by commas: what they signed still holds, and application keys "
        "move over to the present one when they are used.",
    ),
    (
        "ALLOWED_HOSTS",
        "`localhost,127.0.0.1,[::1]`",
        "The host names under which the service is asked for, separated by commas.",
    ),
    (
        "HTTPS",
        "true, once `ALLOWED_HOSTS` names another machine",
        "Redirect to https, send HSTS, and mark cookies as secure. A proxy in front that ends TLS must send "
        "`X-Forwarded-Proto`, and its address be in `FORWARDED_ALLOW_IPS`.",
    ),
    (
        "FORWARDED_ALLOW_IPS",
        "`127.0.0.1,::1`",
        "Read by gunicorn: the proxies whose `X-Forwarded-Proto` is believed.",
    ),
    (
        "CSRF_TRUSTED_ORIGINS",
        "none",
        "Other origins that may send forms, as `https://name`, separated by commas.",
    ),
    (
        "DEBUG",
        "false",
        "Pages with details on errors, static files straight from their sources. Never where others can reach it: "
        "once `ALLOWED_HOSTS` names another machine, the start is refused.",
    ),
    (
        "TIME_ZONE",
        "`UTC`",
        "The zone in which the admin shows times. Timers have zones of their own.",
    ),
    (
        "LOG_LEVEL",
        "`INFO`",
        "The lowest level that is logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`.",
    ),
    (
        "EXTRA_APPS",
        "none",
        "Django apps of your own in addition to those of the service, separated by commas: their "
        "[`timer_handlers.py`](handlers.md#write-one) is imported at start. Python must find them: folders next to "
        "`manage.py`, packages installed into `.venv`, or what stands in a folder of `PYTHONPATH`. The same for all "
        "nodes and web processes.",
    ),
    (
        "PORT",
        "`8000`",
        "The port of `make up`.",
    ),
)


TOP: Final = """\
# Settings

Every setting is an environment variable. An invalid one stops the start with a sentence that says what is
allowed; an unknown `TIMERS_...` name is answered with the one that was meant. All problems of them are named at once.

## The project

| variable | default | what it does |
|---|---|---|
"""

MIDDLE: Final = """
## The timer service

A Django project of your own that has `timers` among its apps gives these as a dictionary instead:
`TIMERS = {"LEASE": 30}`, without the prefix.

| variable | default | allowed | what it does |
|---|---|---|---|
"""

END: Final = f"""
Workers claim timers ahead, by the poll interval and {LOOK_AHEAD_MARGIN:g} s, and hold them until their instant.
"""


def page() -> str:
    project = "".join(f"| `{name}` | {default} | {text} |\n" for name, default, text in PROJECT)
    timers = "".join(f"| `{row.name}` | {_default(row)} | {row.allowed} | {row.help} |\n" for row in TABLE)
    return TOP + project + MIDDLE + timers + END


def _default(row: Setting) -> str:
    if row.default == "":
        return "empty"
    text = str(row.default).lower() if isinstance(row.default, bool) else f"{row.default}"
    return f"`{text}`"


if __name__ == "__main__":
    print(page(), end="")
