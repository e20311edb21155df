"""The settings of the timer service: one table, validated as a whole, and the only place that reads them.

The service takes them from the environment (`TIMERS_LEASE=30`); a Django project with `timers` installed sets them as
`TIMERS = {"LEASE": 30}` in its settings. docs/settings.md is generated from the same table.
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

from timers.conf.table import BY_NAME, TABLE

PREFIX: Final = "TIMERS_"
"""Prefix of the table's names, which the keys of the dict TIMERS do not have."""
LOOK_AHEAD_MARGIN: Final = 0.5
"""Seconds by which timers are claimed earlier than the next poll could see them."""


@dataclass(frozen=True, slots=True)
class Conf:
    """The settings in force; names and units are those of the table."""

    poll_interval: float
    heartbeat_interval: float
    lease: float
    heartbeat_pause: float
    phi_threshold: float
    clock_step_hold: float
    notify: bool
    crash_lock: bool
    pool_mode: str
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
    database: str
    var: str
    pg_bin: str

    @property
    def look_ahead(self) -> float:
        """How far into the future timers are claimed, in seconds: they wait in the agenda for their instant."""
        return self.poll_interval + LOOK_AHEAD_MARGIN


LONGEST_LOOK_AHEAD: Final = BY_NAME["TIMERS_POLL_INTERVAL"].highest + LOOK_AHEAD_MARGIN
"""Maximum seconds that any node claims timers ahead, whatever its settings."""


def shared_settings(conf: Conf) -> dict[str, Any]:
    """Return the settings that must be the same everywhere, by name: their values, of secrets a digest."""
    found = {setting.name: getattr(conf, setting.field) for setting in TABLE if setting.is_shared}
    return {
        name: sha256(value.encode()).hexdigest()[:12] if BY_NAME[name].is_secret and value else value
        for name, value in found.items()
    }


@cache
def current() -> Conf:
    """Return the settings of this process, read once. Raise ImproperlyConfigured as load does."""
    from django.conf import settings

    conf = load({f"{PREFIX}{name}": value for name, value in getattr(settings, "TIMERS", {}).items()})
    return conf if conf.declaration_owner else replace(conf, declaration_owner=_project_name(settings))


def database_alias() -> str:
    """Return the alias of the database that holds the timers: the default one if a setting is invalid.

    The modules that need it are imported before the system checks can report an invalid setting.
    """
    try:
        return current().database
    except ImproperlyConfigured:
        return str(BY_NAME["TIMERS_DATABASE"].default)


def _project_name(settings: Any) -> str:
    """Return the root package of the Django project that this process serves."""
    for name in ("ROOT_URLCONF", "WSGI_APPLICATION", "SETTINGS_MODULE"):
        module = getattr(settings, name, None)
        if isinstance(module, str) and module:
            return module.partition(".")[0]
    return "django"


def load(given: Mapping[str, Any]) -> Conf:
    """Validate each setting by itself and return all, with defaults for those not given; clashes() checks combinations.

    Raise ImproperlyConfigured with one sentence for each problem, all at once.
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
    """Return the settings that are valid individually but not together, one sentence each.

    Nodes do not start with them (require_consistent). Everything else does, with a warning of the system checks
    (checks.py): migrate, shell and the command that creates a missing key must not need that key.
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
    """Raise ImproperlyConfigured if settings of this process are not valid together."""
    if problems := clashes(current()):
        raise ImproperlyConfigured(" ".join(problems))


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "TIMERS":
        current.cache_clear()


setting_changed.connect(_forget, dispatch_uid="timers.conf")
