"""Public: test handlers and schedules in virtual time, without a worker and without waiting.

    from timers.testing import Stepper, VirtualTime

    with VirtualTime("2028-02-28T12:00:00Z") as time:
        node = Stepper(time)
        schedule_cron("reports", "leap-day", expression="0 0 29 2 *")
        node.advance(days=2)

A test needs a PostgreSQL database, as the service does: it tests the engine itself, on its rows. With pytest and
pytest-django, `pytest_plugins = ["timers.testing.pytest_plugin"]` in the root conftest.py provides the fixtures
`timers_time` and `timers_node`. Only test suites import this package.
"""

from timers.testing.sandboxes import live_through
from timers.testing.stepper import Stepper, registration
from timers.testing.virtual_time import START, VirtualTime

__all__ = ["START", "Stepper", "VirtualTime", "live_through", "registration"]
