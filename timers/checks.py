"""System checks: what `manage.py check`, and commands that run checks, report about a project's settings."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.urls import NoReverseMatch, Resolver404, resolve

from timers import conf
from timers.database import ALIAS, ROUTER

TAG: Final = "timers"
MIDDLEWARE: Final = {
    "timers.api.middleware.ApiMiddleware": "first",
    "timers.security.current_actor_middleware.CurrentActorMiddleware": "after Django's AuthenticationMiddleware",
}
"""Middleware that requests to the app's URLs must pass through, and its place in MIDDLEWARE."""
PAGE_APPS: Final = ("django_htmx", "ninja")
"""Apps whose template tags and static files the pages use."""


@register(TAG)
def settings_are_valid(**_: Any) -> list[CheckMessage]:
    """E001: a setting in TIMERS is unknown or invalid. W001: settings clash, and nodes do not start with them."""
    try:
        found = conf.current()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="Correct it in TIMERS; docs/settings.md lists all settings.", id="timers.E001")]
    hint = "Nodes do not start until this is corrected."
    return [checks.Warning(text, hint=hint, id="timers.W001") for text in conf.clashes(found)]


@register(TAG)
def database_is_postgresql(**_: Any) -> list[CheckMessage]:
    """E002: the tables of the app are in a database that is not PostgreSQL."""
    if ALIAS not in connections:
        return []
    vendor = connections[ALIAS].vendor
    if vendor == "postgresql":
        return []
    hint = "Use django.db.backends.postgresql, with PostgreSQL 14 or newer, in DATABASES."
    return [Error(f"The timer service needs PostgreSQL; this database is {vendor}.", hint=hint, id="timers.E002")]


@register(TAG)
def database_is_routed(**_: Any) -> list[CheckMessage]:
    """E008: DATABASES does not have the database of the timers, or their models are read from another one."""
    if ALIAS not in connections:
        text = f"TIMERS_DATABASE names {ALIAS!r}, which is not in DATABASES."
        hint = f"Name one of these: {', '.join(sorted(connections))}."
        return [Error(text, hint=hint, id="timers.E008")]
    models = apps.get_app_config("timers").get_models()
    if all(router.db_for_write(model) == router.db_for_read(model) == ALIAS for model in models):
        return []
    if ALIAS == DEFAULT_DB_ALIAS:
        text = "DATABASE_ROUTERS sends models of the timer service to another database than the default one."
        hint = f'Name that database in TIMERS ("DATABASE"), and put "{ROUTER}" first into DATABASE_ROUTERS.'
    else:
        text = f"TIMERS_DATABASE is {ALIAS!r}, but models of the timer service are sent to another database."
        hint = f'Put "{ROUTER}" first into DATABASE_ROUTERS.'
    return [Error(text, hint=hint, id="timers.E008")]


@register(TAG)
def postgresql_support_is_installed(**_: Any) -> list[CheckMessage]:
    """E003: django.contrib.postgres is missing, which provides fields and indexes of the app."""
    if apps.is_installed("django.contrib.postgres"):
        return []
    hint = 'Add "django.contrib.postgres" to INSTALLED_APPS.'
    return [Error("The timer service needs django.contrib.postgres.", hint=hint, id="timers.E003")]


@register(TAG)
def time_zones_are_used(**_: Any) -> list[CheckMessage]:
    """E004: datetimes of the project are naive, so instants would shift with the server's zone."""
    if settings.USE_TZ:
        return []
    return [Error("The timer service needs time zone support.", hint="Set USE_TZ = True.", id="timers.E004")]


@register(Tags.urls)
def urls_are_served_as_they_need(**_: Any) -> list[CheckMessage]:
    """E005, E007: middleware or apps that the app's URLs need are missing. E006: another app uses their namespace.

    A project without these URLs, such as one that only runs nodes, needs neither.
    """
    from timers.api.addresses import app_prefix
    from timers.console.overview import overview

    try:
        view = resolve(app_prefix()).func
    except NoReverseMatch:
        return []
    except Resolver404:
        view = None
    if view is not overview:
        hint = (
            'Include "timers.urls" once, before patterns that match its prefix too; no other app may be named "timers".'
        )
        return [Error('The URL "timers:overview" leads to another view.', hint=hint, id="timers.E006")]
    missing: list[CheckMessage] = [
        Error(f"{name} is missing in MIDDLEWARE.", hint=f"Add it {place}.", id="timers.E005")
        for name, place in MIDDLEWARE.items()
        if name not in settings.MIDDLEWARE
    ]
    missing += [
        Error(f"{name} is missing in INSTALLED_APPS: the pages use its files.", hint="Add it.", id="timers.E007")
        for name in PAGE_APPS
        if not apps.is_installed(name)
    ]
    return missing
