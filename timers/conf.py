"""The settings of the timer service: one table, checked all at once, and the only place that reads them.

In this project they come from the environment (`TIMERS_LEASE=30`); a Django project that only has `timers` installed
gives them as `TIMERS = {"TIMERS_LEASE": 30}` in its settings. docs/settings.md is written from the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from timers import setting_forms
from timers.setting import Setting

LOOK_AHEAD_MARGIN: Final = 0.5
"""Seconds by which timers are claimed earlier than the next poll could see them."""

TABLE: Final = (
    Setting(
        "TIMERS_POLL_INTERVAL",
        1.0,
        "How often a worker looks for due timers. Those due before any living node's next look are announced by NOTIFY,"
        " so this bounds lateness only where NOTIFY is off.",
        unit="seconds",
        lowest=0.05,
        highest=60,
        is_shared=True,
    ),
    Setting(
        "TIMERS_HEARTBEAT_INTERVAL",
        2.0,
        "How often a node says that it lives, and renews its lease.",
        unit="seconds",
        lowest=0.1,
        highest=600,
        is_shared=True,
    ),
    Setting(
        "TIMERS_LEASE",
        10.0,
        "How long a node counts as living after its last heartbeat; then other nodes take its executions. "
        "More than twice the heartbeat interval.",
        unit="seconds",
        lowest=0.5,
        highest=3600,
        is_shared=True,
    ),
    Setting(
        "TIMERS_NOTIFY",
        True,
        "Whether nodes are woken by NOTIFY for timers that are due before their next look. Turn off behind a PgBouncer "
        "in transaction mode; everything still works, at most one poll late.",
        is_shared=True,
    ),
    Setting(
        "TIMERS_CRASH_LOCK",
        True,
        "Each node holds a session advisory lock by which others notice its crash before its lease is over. "
        "Turn off behind PgBouncer.",
        is_shared=True,
    ),
    Setting(
        "TIMERS_RETENTION",
        30,
        "How long the ledger (the history of executions) is kept.",
        unit="days",
        lowest=1,
        highest=36500,
        is_shared=True,
    ),
    Setting(
        "TIMERS_AUDIT_RETENTION",
        365,
        "How long the audit trail is kept.",
        unit="days",
        lowest=1,
        highest=36500,
        is_shared=True,
    ),
    Setting(
        "TIMERS_NODE_RETENTION",
        7,
        "How long stopped and dead nodes stay listed.",
        unit="days",
        lowest=1,
        highest=36500,
        is_shared=True,
    ),
    Setting(
        "TIMERS_PARTITIONS_AHEAD",
        7,
        "For how many days the ledger's partitions are made in advance.",
        unit="days",
        lowest=1,
        highest=366,
        is_shared=True,
    ),
    Setting(
        "TIMERS_SYNC_DECLARED",
        True,
        "A node that starts makes the timers that are declared in code what is declared there. Turn off to do it by "
        "`manage.py synctimers` alone.",
    ),
    Setting(
        "TIMERS_DECLARATION_OWNER",
        "",
        "The program that the timers declared in its code and files belong to; of several programs on one database "
        "each reconciles only its own. Empty: the name of the Django project, which is the root package of its "
        "`ROOT_URLCONF`.",
        form="a name of 1 to 200 characters",
        reads=setting_forms.owner,
    ),
    Setting(
        "TIMERS_DRAIN_TIMEOUT",
        30.0,
        "How long running handlers may go on after SIGTERM before their worker is ended.",
        unit="seconds",
        lowest=0,
        highest=86400,
    ),
    Setting(
        "TIMERS_OVERRUN_GRACE",
        3.0,
        "How long the neighbours of a handler that overran its timeout may go on before their worker is replaced.",
        unit="seconds",
        lowest=0,
        highest=3600,
    ),
    Setting(
        "TIMERS_HTTP_ALLOW_PRIVATE",
        "",
        "Networks that are not public and that timers may call all the same, such as an in-house `10.20.0.0/16`. "
        "The metadata server of a cloud is opened only by its very address.",
        form="networks (CIDRs) or addresses, separated by commas",
        reads=setting_forms.networks,
        is_shared=True,
    ),
    Setting(
        "TIMERS_HTTP_DENY",
        "",
        "Networks that timers may never call, such as public addresses of your own.",
        form="networks (CIDRs) or addresses, separated by commas",
        reads=setting_forms.networks,
        is_shared=True,
    ),
    Setting(
        "TIMERS_HTTP_PORTS",
        "80,443,8080,8443",
        "The ports that timers may call.",
        form="ports and spans of ports such as `443,8000-8999`, or `any`",
        reads=setting_forms.ports,
        is_shared=True,
    ),
    Setting(
        "TIMERS_HTTP_ALLOW_PLAIN",
        False,
        "Let timers call http:// too, where anybody on the way can read and change what is sent.",
        is_shared=True,
    ),
    Setting(
        "TIMERS_HTTP_PROXY",
        "",
        "Send all calls of timers through this proxy, which then resolves names and has the last word on where they "
        "go. Proxies of the process's environment are never used.",
        form="the URL of a proxy such as `http://proxy.example.org:3128`",
        reads=setting_forms.proxy,
        is_shared=True,
    ),
    Setting(
        "TIMERS_HTTP_PER_TARGET",
        100,
        "How many calls to one target (host and port) a worker makes at once; what is beyond them waits without taking "
        "a slot from others. Less than a node's `--concurrency`, or one slow target can take all of it.",
        lowest=1,
        highest=10000,
    ),
    Setting(
        "TIMERS_ENTRY_URL",
        "",
        "Where the handlers of this installation are called over HTTP; `entry` actions call there, and the call is let "
        "out even where that is no public address.",
        form="a URL such as `https://timers.example.org/api/v1/handlers`",
        reads=setting_forms.entry_url,
        is_shared=True,
    ),
    Setting(
        "TIMERS_ENTRY_KEY",
        "",
        "The application key with which `entry` actions call.",
        form="an application key",
        reads=setting_forms.token,
        is_secret=True,
        is_shared=True,
    ),
    Setting(
        "TIMERS_ENTRY_SLOTS",
        3,
        "How many handlers may run at once in each web process that they are called in; each holds one of its threads. "
        "Together with `TIMERS_API_WAITING` less than gunicorn's `--threads`, or nobody else is answered.",
        lowest=1,
        highest=10_000,
    ),
    Setting(
        "TIMERS_ENCRYPTION_KEYS",
        "",
        "Keys that secrets are encrypted with, the one in use first; older ones stay until `manage.py rotatesecrets` "
        "has run. The same on all nodes and web processes. `manage.py rotatesecrets --new-key` prints a fresh one. "
        "With the embedded database and none given, one is made and kept in `var/encryption_key`.",
        form="keys as `name:32 bytes in base64`, separated by commas",
        reads=setting_forms.encryption_keys,
        is_secret=True,
        is_shared=True,
    ),
    Setting(
        "TIMERS_API_RATE",
        1000.0,
        "How many requests a caller of the API may make, in each web process; beyond it the answer is 429 with "
        "Retry-After. A key may have a rate of its own. 0: no bound.",
        unit="requests per second",
        lowest=0,
        highest=1_000_000,
    ),
    Setting(
        "TIMERS_API_BURST",
        2.0,
        "How many seconds' worth of that rate may come at once.",
        unit="seconds",
        lowest=0.001,
        highest=3600,
    ),
    Setting(
        "TIMERS_API_WAITING",
        4,
        "How many consumers may wait for executions at once in each web process; each holds one of its threads. "
        "Together with `TIMERS_ENTRY_SLOTS` less than gunicorn's `--threads`, or nobody else is answered.",
        lowest=0,
        highest=10_000,
    ),
    Setting(
        "TIMERS_TRUSTED_PROXIES",
        "",
        "The proxies in front whose `X-Forwarded-For` is believed about where a request came from: what keys are "
        "allowed from, and what failed attempts are counted by. All others are taken for the client themselves.",
        form="networks (CIDRs) or addresses, or the word `unix` for a Unix socket, separated by commas",
        reads=setting_forms.trusted_proxies,
    ),
    Setting(
        "TIMERS_WEB_STATEMENT_TIMEOUT",
        15.0,
        "How long a request may wait for the answer to one of its statements; it waits at most 5 s for a lock. Then it "
        "is answered 503 with Retry-After. Handlers that are called over HTTP are not held to it. 0: no bound, and the "
        "sessions are left as they are.",
        unit="seconds",
        lowest=0,
        highest=3600,
    ),
    Setting(
        "TIMERS_LOG_FORMAT",
        "text",
        "Log lines for people, or one JSON object per line.",
        choices=("text", "json"),
    ),
    Setting(
        "TIMERS_VAR",
        "var",
        "Folder of the embedded database, its log, the generated secret key and the collected static files. A"
        " relative path starts at the project's folder.",
    ),
    Setting(
        "TIMERS_PG_BIN",
        "",
        "Folder of the PostgreSQL programs for the embedded database (initdb, postgres). Empty: the installed"
        " package's, else the system's.",
    ),
)

BY_NAME: Final = {setting.name: setting for setting in TABLE}


@dataclass(frozen=True, slots=True)
class Conf:
    """The settings in force; names and units are those of the table."""

    poll_interval: float
    heartbeat_interval: float
    lease: float
    notify: bool
    crash_lock: bool
    retention: int
    audit_retention: int
    node_retention: int
    partitions_ahead: int
    sync_declared: bool
    declaration_owner: str
    drain_timeout: float
    overrun_grace: float
    http_allow_private: str
    http_deny: str
    http_ports: str
    http_allow_plain: bool
    http_proxy: str
    http_per_target: int
    entry_url: str
    entry_key: str = field(repr=False)
    entry_slots: int
    encryption_keys: str = field(repr=False)
    api_rate: float
    api_burst: float
    api_waiting: int
    trusted_proxies: str
    web_statement_timeout: float
    log_format: str
    var: str
    pg_bin: str

    @property
    def look_ahead(self) -> float:
        """How far into the future timers are claimed, in seconds: they wait in the agenda for their instant."""
        return self.poll_interval + LOOK_AHEAD_MARGIN


LONGEST_LOOK_AHEAD: Final = BY_NAME["TIMERS_POLL_INTERVAL"].highest + LOOK_AHEAD_MARGIN
"""Seconds that any node may claim timers ahead, whatever its settings."""


def shared_settings(conf: Conf) -> dict[str, Any]:
    """The settings that are to be the same everywhere, by name: their values, of secrets a digest."""
    found = {setting.name: getattr(conf, setting.field) for setting in TABLE if setting.is_shared}
    return {
        name: sha256(value.encode()).hexdigest()[:12] if BY_NAME[name].is_secret and value else value
        for name, value in found.items()
    }


@cache
def current() -> Conf:
    """The settings of this process, read once."""
    from django.conf import settings

    conf = load(getattr(settings, "TIMERS", {}))
    return conf if conf.declaration_owner else replace(conf, declaration_owner=_project_name(settings))


def _project_name(settings: Any) -> str:
    """The root package of the Django project that this process serves."""
    for name in ("ROOT_URLCONF", "WSGI_APPLICATION", "SETTINGS_MODULE"):
        module = getattr(settings, name, None)
        if isinstance(module, str) and module:
            return module.partition(".")[0]
    return "django"


def load(given: Mapping[str, Any]) -> Conf:
    """Check each setting by itself and return all with the defaults of the rest; see clashes for the rest.

    Raises ImproperlyConfigured with one sentence per problem, all problems at once.
    """
    problems = [_unknown(name) for name in given if name not in BY_NAME]
    values: dict[str, Any] = {}
    for setting in TABLE:
        values[setting.field] = setting.default
        if setting.name in given:
            try:
                values[setting.field] = setting.parse(given[setting.name])
            except (ValueError, TypeError):
                shown = "not shown here" if setting.is_secret else f"given: {given[setting.name]!r}"
                problems.append(f"{setting.name} must be {setting.allowed} ({shown}).")
    if problems:
        raise ImproperlyConfigured(" ".join(problems))
    return Conf(**values)


def _unknown(name: str) -> str:
    meant = get_close_matches(name, BY_NAME, n=1)
    return f"{name} is no setting of the timer service" + (f"; did you mean {meant[0]}?" if meant else ".")


def clashes(conf: Conf) -> list[str]:
    """What is valid alone but not together, one sentence each.

    Nodes do not start with them (require_consistent). All else does, with a warning of the system checks (checks.py):
    migrate, shell and the command that makes a missing key must not need that key.
    """
    problems = []
    if conf.lease <= 2 * conf.heartbeat_interval:
        problems.append(
            f"TIMERS_LEASE ({conf.lease:g} s) must be more than twice TIMERS_HEARTBEAT_INTERVAL "
            f"({conf.heartbeat_interval:g} s), or one late heartbeat would make a healthy node count as dead."
        )
    if bool(conf.entry_url) != bool(conf.entry_key):
        missing = "TIMERS_ENTRY_KEY" if conf.entry_url else "TIMERS_ENTRY_URL"
        problems.append(
            f"TIMERS_ENTRY_URL and TIMERS_ENTRY_KEY belong together: {missing} is missing. "
            "`manage.py createapplicationkey` makes a key; give both or none."
        )
    return problems


def require_consistent() -> None:
    """Raise ImproperlyConfigured where settings of this process are not valid together."""
    if problems := clashes(current()):
        raise ImproperlyConfigured(" ".join(problems))


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "TIMERS":
        current.cache_clear()


setting_changed.connect(_forget, dispatch_uid="timers.conf")
