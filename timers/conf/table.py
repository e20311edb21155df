"""The table of all settings: names, defaults, formats and descriptions."""

from __future__ import annotations

from typing import Final

from timers.conf import forms
from timers.conf.setting import Setting

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
        "TIMERS_HEARTBEAT_PAUSE",
        1.0,
        "How much later than usual a heartbeat may come before the node can be suspect. A heartbeat interval and this "
        "together should be less than the lease, or no node is suspect before it is dead.",
        unit="seconds",
        lowest=0,
        highest=3600,
        is_shared=True,
    ),
    Setting(
        "TIMERS_PHI_THRESHOLD",
        8.0,
        "From which phi on a node is shown as suspect: how unusual its silence is, by its own heartbeats; 8 is one "
        "mistake in 100 million. Only shown and recorded: a node counts as dead by its lease and crash lock.",
        lowest=1,
        highest=1000,
        is_shared=True,
    ),
    Setting(
        "TIMERS_CLOCK_STEP_HOLD",
        90.0,
        "How long nothing is claimed after the database clock has stepped forward, so that a clock that was set wrong "
        "can be set right before timers fire early. 0: only until all live nodes have sent a heartbeat under the new "
        "clock, as after a step back.",
        unit="seconds",
        lowest=0,
        highest=86400,
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
        "TIMERS_POOL_MODE",
        "auto",
        "What a connection pooler such as PgBouncer between here and PostgreSQL does with sessions. `auto`: one that "
        "is detected counts as one in transaction mode, where session settings, LISTEN and session locks would be "
        "shared with strangers and are not used. `session`: each client has a session of its own. `transaction`: as "
        "if one had been detected.",
        choices=("auto", "session", "transaction"),
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
        reads=forms.owner,
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
        reads=forms.networks,
        is_shared=True,
    ),
    Setting(
        "TIMERS_HTTP_DENY",
        "",
        "Networks that timers may never call, such as public addresses of your own.",
        form="networks (CIDRs) or addresses, separated by commas",
        reads=forms.networks,
        is_shared=True,
    ),
    Setting(
        "TIMERS_HTTP_PORTS",
        "80,443,8080,8443",
        "The ports that timers may call.",
        form="ports and spans of ports such as `443,8000-8999`, or `any`",
        reads=forms.ports,
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
        reads=forms.proxy,
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
        "Handler endpoint of this installation. `remote_handler` actions call it, even if its address is not public.",
        form="a URL such as `https://timers.example.org/api/v1/handlers`",
        reads=forms.entry_url,
        is_shared=True,
    ),
    Setting(
        "TIMERS_ENTRY_KEY",
        "",
        "The application key with which `remote_handler` actions call.",
        form="an application key",
        reads=forms.token,
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
        reads=forms.encryption_keys,
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
        reads=forms.trusted_proxies,
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
        "TIMERS_DATABASE",
        "default",
        "Alias in DATABASES of the database that holds the timers. For another than the default one, "
        "`timers.database.TimersRouter` belongs into DATABASE_ROUTERS. The service has one database only.",
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
