"""The router of a project whose timers are in a second database; tests/packaging uses it in such a project."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User

from timers import database
from timers.database import TimersRouter
from timers.models import ApplicationKey, Timer


class RouterForUsers:
    """A router that a project could have before TimersRouter."""

    def db_for_read(self, model: type, **hints: object) -> str | None:
        return "people" if model is User else None

    db_for_write = db_for_read


def test_router_says_nothing_while_the_timers_are_in_the_default_database() -> None:
    router = TimersRouter()
    assert router.db_for_read(Timer) is router.db_for_write(Timer) is None
    assert router.allow_migrate("default", "timers") is router.allow_migrate("other", "auth") is None


def test_models_of_the_app_are_in_its_database_and_others_where_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "ALIAS", "timers")
    router = TimersRouter()
    assert router.db_for_read(Timer) == router.db_for_write(Timer) == "timers"
    assert router.db_for_read(User) is router.db_for_write(User) is None
    assert router.allow_relation(ApplicationKey(), User())
    assert router.allow_relation(User(), Group()) is None


def test_user_of_a_key_is_looked_for_where_the_project_has_its_users(
    monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    monkeypatch.setattr(database, "ALIAS", "timers")
    key = ApplicationKey()
    key._state.db = "timers"
    with monkeypatch.context() as patched:
        patched.setattr("timers.database.router.routers", [TimersRouter()])
        assert database.router.db_for_read(User, instance=key) == "default"
        patched.setattr("timers.database.router.routers", [RouterForUsers(), TimersRouter()])
        assert database.router.db_for_write(User, instance=key) == "people"


@pytest.mark.parametrize(
    ("db", "app", "allowed"),
    [("timers", "timers", True), ("default", "timers", False), ("timers", "auth", False), ("default", "auth", None)],
)
def test_tables_of_the_app_are_created_in_its_database_only(
    monkeypatch: pytest.MonkeyPatch, db: str, app: str, allowed: bool | None
) -> None:
    monkeypatch.setattr(database, "ALIAS", "timers")
    assert TimersRouter().allow_migrate(db, app) is allowed
