"""Django application of the demo."""

from __future__ import annotations

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Registers the demo's handlers and the command timerdemo."""

    name = "timerproject.demo"
    label = "timers_demo"
    verbose_name = "Demo of the timer service"
