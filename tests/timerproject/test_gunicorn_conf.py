"""What gunicorn is told by the file of its name."""

from __future__ import annotations

import runpy
from urllib.parse import quote

import pytest
from django.conf import settings
from gunicorn.config import Config

from timerproject.web.parser import MAX_REQUEST_LINE
from timerproject.web.worker import BufferingWorker
from timers import conf
from timers.models.group import NAME_LENGTH


@pytest.fixture
def config() -> Config:
    """gunicorn's settings, with those of the file."""
    said = runpy.run_path(str(settings.BASE_DIR / "gunicorn.conf.py"))
    config = Config()
    for name in (name for name in said if not name.startswith("__")):
        config.set(name, said[name])
    return config


def test_unused_connections_are_kept_for_longer_than_those_keep_them_who_ask(config: Config) -> None:
    assert config.worker_class is BufferingWorker
    assert config.keepalive > 60


def test_handlers_and_waiting_consumers_together_leave_a_thread_to_everybody_else(config: Config) -> None:
    settings = conf.load({})
    assert settings.entry_slots + settings.api_waiting < config.threads


def test_the_longest_address_is_taken(config: Config) -> None:
    name = quote("\N{MANTELPIECE CLOCK}" * NAME_LENGTH)
    line = f"POST /api/v1/groups/{name}/timers/{name}/preview HTTP/1.1"
    assert len(line) < config.limit_request_line
    assert len(line) < MAX_REQUEST_LINE


def test_no_header_moves_the_path_whatever_the_worker_class(config: Config) -> None:
    assert config.forwarder_headers == []
