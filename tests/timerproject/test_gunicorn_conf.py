"""What gunicorn is told by the file of its name."""

from __future__ import annotations

import runpy

from django.conf import settings
from gunicorn.config import Config


def test_gunicorn_knows_each_setting_and_keeps_unused_connections_longer_than_who_asks_keeps_theirs() -> None:
    said = runpy.run_path(str(settings.BASE_DIR / "gunicorn.conf.py"))
    config = Config()
    for name in (name for name in said if not name.startswith("__")):
        config.set(name, said[name])
    assert (config.worker_class_str, config.threads) == ("gthread", 8)
    assert config.keepalive > 60
