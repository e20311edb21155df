"""What is declared on the page of declarations is made by a deployment, as the page says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.docs import snippets
from timers import declaring
from timers.models import Chain, Timer
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualTime]:
    """The page's handlers and declarations, and no others."""
    monkeypatch.setattr(declaring, "_timers", [])
    monkeypatch.setattr(declaring, "_groups", {})
    monkeypatch.setattr(declaring, "_chains", {})
    with snippets.handlers_of_its_own():
        snippets.run("docs/declaring.md")
        yield VirtualTime()


def test_the_timers_of_the_page_are_made_and_fire(time: VirtualTime) -> None:
    call_command("synctimers", stdout=StringIO())
    assert set(Timer.objects.values_list("name", "schedule_kind")) == {
        ("reports.refresh", "fixed_rate"), ("nightly", "cron"), ("weekly", "cron"), ("backlog", "fixed_delay"),
    }  # fmt: skip
    assert list(Chain.objects.values_list("name", "source", "declared_version")) == [("publish", "code", 1)]
    node = Stepper(time)
    time.advance(300)
    assert {outcome.execution.name for outcome in node.until_idle()} == {"reports.refresh", "backlog", "weekly"}


def test_the_file_of_the_page_is_taken(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", snippets.page("docs/declaring.md"), re.MULTILINE | re.DOTALL)
    file = tmp_path / "timers.yaml"
    file.write_text(text)
    call_command("synctimers", file=str(file), stdout=StringIO())
    assert {(timer.name, timer.source) for timer in Timer.objects.all()} == {
        ("month-end", "file:billing"), ("dunning", "file:billing"),
    }  # fmt: skip
