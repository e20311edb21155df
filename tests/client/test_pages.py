"""What the pages show of the client and of timerctl, run as it stands there."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from timers_client import TimersClient
from timers_client.ctl.arguments import parser
from timers_client.ctl.main import main

from tests.docs import snippets
from timers.models import Attempt, Timer


@pytest.fixture(autouse=True)
def _service(client: TimersClient, live_server: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMER_SERVICE_URL", live_server.url)
    monkeypatch.setenv("TIMER_SERVICE_KEY", key)


def test_every_example_of_the_page_does_what_it_says(capfd: pytest.CaptureFixture[str]) -> None:
    names = snippets.run("docs/client.md", kind="python client")
    assert names["names"] == ["order-1", "order-2", "report"]
    assert (len(names["planned"]["fires"]), names["gone"].timer.state) == (3, "cancelled")
    assert (len(names["results"]), names["refused"]) == (100, [])
    assert names["tries"] == 1
    outcomes = Attempt.objects.filter(name="order-1").order_by("attempt").values_list("outcome", flat=True)
    assert list(outcomes) == ["discarded", "succeeded"]
    names["client"].close()
    for line in commands("docs/client.md"):
        assert main(shlex.split(line)[1:]) == 0, capfd.readouterr().err
    assert Timer.objects.get(name="nightly").state == "cancelled"


def test_the_readme_of_the_client_schedules_and_receives() -> None:
    snippets.run("clients/python/README.md", kind="python client")["client"].close()
    outcomes = Attempt.objects.order_by("attempt").values_list("outcome", flat=True)
    assert list(outcomes) == ["discarded", "succeeded"]


def test_every_verb_of_the_client_is_on_the_page() -> None:
    page = snippets.page("docs/client.md")
    verbs = [name for name in dir(TimersClient) if not name.startswith("_") and name != "call"]
    assert not [verb for verb in verbs if not re.search(rf"`{verb}\b", page)]


def test_every_word_of_timerctl_is_on_the_page() -> None:
    lines = snippets.page("docs/client.md").splitlines()
    for word, takes in parser().below().items():
        line = next(line for line in lines if line.startswith("| `") and f"`{word}`" in line)
        verbs = [] if word in {"schedule", "preview"} else takes.below()
        assert not [each for each in [word, *verbs] if f"`{each}`" not in line], word


def commands(page: str) -> list[str]:
    """The lines of timerctl that a page shows."""
    return re.findall(r"^timerctl .*", "\n".join(source for source, _ in snippets.blocks(page, "sh")), re.MULTILINE)
