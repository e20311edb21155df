from __future__ import annotations

import re

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import override_settings

from timers import conf
from timers.checks import settings_are_valid
from timers.conf import table


def test_nothing_given_is_the_table_of_defaults() -> None:
    settings = conf.load({})
    assert (settings.poll_interval, settings.lease, settings.notify, settings.retention) == (1.0, 10.0, True, 30)


def test_text_of_the_environment_and_values_of_python_are_the_same() -> None:
    assert conf.load({"TIMERS_LEASE": "30", "TIMERS_NOTIFY": "off", "TIMERS_RETENTION": "5"}) == conf.load(
        {"TIMERS_LEASE": 30, "TIMERS_NOTIFY": False, "TIMERS_RETENTION": 5}
    )


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("TIMERS_POLL_INTERVAL", "0"),
        ("TIMERS_POLL_INTERVAL", "61"),
        ("TIMERS_POLL_INTERVAL", "nan"),
        ("TIMERS_POLL_INTERVAL", "soon"),
        ("TIMERS_POLL_INTERVAL", True),
        ("TIMERS_POLL_INTERVAL", None),
        ("TIMERS_RETENTION", "0"),
        ("TIMERS_RETENTION", "1.5"),
        ("TIMERS_DRAIN_TIMEOUT", "inf"),
        ("TIMERS_NOTIFY", "perhaps"),
        ("TIMERS_NOTIFY", ""),
        ("TIMERS_LOG_FORMAT", "xml"),
    ],
)
def test_a_value_that_makes_no_sense_is_named_with_what_is_allowed(name: str, given: object) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        conf.load({name: given})
    assert str(refused.value) == f"{name} must be {table.BY_NAME[name].allowed} (given: {given!r})."


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        conf.load({"TIMERS_LAESE": "1", "TIMERS_POLL_INTERVAL": "-1"})
    text = str(refused.value)
    assert "TIMERS_LAESE is no setting of the timer service; did you mean TIMERS_LEASE?" in text
    assert "TIMERS_POLL_INTERVAL must be a number of seconds from 0.05 to 60 (given: '-1')." in text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"TIMERS_HEARTBEAT_INTERVAL": "5"},
            "TIMERS_LEASE (10 s) must be more than twice TIMERS_HEARTBEAT_INTERVAL (5 s)",
        ),
        ({"TIMERS_ENTRY_URL": "https://timers.example.org/api/v1/handlers"}, "TIMERS_ENTRY_KEY is missing"),
        ({"TIMERS_ENTRY_KEY": "tk_abc"}, "TIMERS_ENTRY_URL is missing"),
    ],
)
def test_settings_that_clash_stop_nodes_and_warn_everywhere_else(
    given: dict[str, str], said: str, settings: LazySettings, db: None
) -> None:
    settings.TIMERS = {name.removeprefix(conf.PREFIX): value for name, value in given.items()}
    assert conf.current()
    with pytest.raises(ImproperlyConfigured, match=re.escape(said)):
        conf.require_consistent()
    with pytest.raises(ImproperlyConfigured, match=re.escape(said)):
        call_command("runtimerworker")
    (warning,) = settings_are_valid()
    assert (warning.id, said in warning.msg) == ("timers.W001", True)


def test_settings_that_agree_give_no_warning() -> None:
    conf.require_consistent()
    assert settings_are_valid() == []


def test_a_name_like_none_of_ours_is_refused_without_a_guess() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"TIMERS_QQQQQQQQQQQQ is no setting of the timer service\.$"):
        conf.load({"TIMERS_QQQQQQQQQQQQ": "1"})


def test_the_look_ahead_is_half_a_second_more_than_the_poll() -> None:
    assert conf.load({"TIMERS_POLL_INTERVAL": 3}).look_ahead == 3.5


def test_overridden_settings_are_read_anew() -> None:
    before = conf.current().retention
    with override_settings(TIMERS={"RETENTION": 99}):
        assert conf.current().retention == 99
    assert conf.current().retention == before


def test_every_row_of_the_table_is_a_field_and_its_default_is_allowed() -> None:
    assert tuple(row.field for row in table.TABLE) == tuple(conf.Conf.__dataclass_fields__)
    assert all(row.parse(row.default) == row.default for row in table.TABLE)
    assert all(row.help.endswith(".") for row in table.TABLE)
