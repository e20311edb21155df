"""The README's example does what the README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.docs import snippets
from timers.models import Attempt, Timer
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def node() -> Iterator[Stepper]:
    """A node, after the README's blocks have been run."""
    time = VirtualTime()
    with snippets.handlers_of_its_own():
        snippets.run("README.md")
        yield Stepper(time)


def test_the_example_leaves_the_timers_that_it_says() -> None:
    timers = {timer.name: timer for timer in Timer.objects.filter(group__name="billing")}

    assert {name: timer.state for name, timer in timers.items()} == {
        "invoice-4711": "active", "monthly": "active", "held-4711": "cancelled",
    }  # fmt: skip
    assert timers["monthly"].schedule == {"expression": "0 7 1 * *"}
    assert timers["monthly"].next_fire_at.astimezone().minute == 0


def test_the_invoice_is_discarded_once_and_then_sent(node: Stepper) -> None:
    node.until_idle()  # the run that fire_timer asked for

    for seconds in (30, 10):  # its instant, and the first wait of the group's policy
        node.time.advance(seconds)
        node.until_idle()

    rows = Attempt.objects.filter(name="invoice-4711").order_by("attempt")
    assert [(row.attempt, row.outcome, row.result) for row in rows] == [
        (1, "discarded", None),
        (2, "succeeded", {"sent_to": "accounts@example.org"}),
    ]


def test_a_timer_fired_by_hand_runs_beside_its_schedule(node: Stepper) -> None:
    before = Timer.objects.get(name="monthly").next_fire_at

    (outcome,) = node.until_idle()

    assert outcome.execution.origin == "manual"
    assert outcome.execution.payload == {"to": "test@example.org"}
    assert Timer.objects.get(name="monthly").next_fire_at == before


def test_the_app_of_the_example_is_installed_as_the_readme_says(tmp_path: Path) -> None:
    (source,) = [
        source for source, _ in snippets.blocks("README.md") if source.startswith("# billing/timer_handlers.py")
    ]
    (tmp_path / "billing").mkdir()
    (tmp_path / "billing/__init__.py").touch()
    (tmp_path / "billing/timer_handlers.py").write_text(source)
    (extra,) = re.findall(r"^export (EXTRA_APPS)=billing$", snippets.page("README.md"), re.MULTILINE)
    given = {extra: "billing", "PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "timerproject.settings"}
    code = "import django; django.setup(); from timers import handlers; print(*handlers.names())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ) | given,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
    )
    assert "invoices.send" in done.stdout.split(), done.stderr
