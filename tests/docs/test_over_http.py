"""What the documents show of the REST API, by curl and by the Python client, run as it stands there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from tests.docs import snippets
from timers.api.api import api
from timers.models import Attempt, Timer
from timers.security.authentication import forget_known_keys
from timers.security.rate_limits import forget_callers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def service(live_server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The service's address; its key is made by the README's own command."""
    forget_known_keys()
    forget_callers()
    get_user_model().objects.create_superuser("admin")
    (command,) = re.findall(r"manage\.py (createapplicationkey [^)]+)", snippets.page("README.md"))
    call_command(*command.split())
    monkeypatch.setenv("TIMER_SERVICE_KEY", capsys.readouterr().out.strip())
    monkeypatch.setenv("TIMER_SERVICE_URL", live_server.url)
    return str(live_server.url)


def shell(script: str, service: str) -> str:
    """What a script prints that was written for the service on port 8000."""
    if not shutil.which("curl") and "CI" not in os.environ:
        pytest.skip("there is no curl")
    script = script.replace("http://localhost:8000", service)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_schedules_claims_and_commits_by_curl(service: str) -> None:
    (script,) = [source for source, _ in snippets.blocks("README.md", "sh") if "curl" in source]
    printed = shell(script, service)
    assert '"NumberOfTry":1' in printed and printed.rstrip().endswith('"outcome":"succeeded"}')
    assert Timer.objects.get(name="order-4711").state == "finished"
    assert Attempt.objects.get(name="order-4711").outcome == "succeeded"


def test_the_readme_schedules_and_receives_by_the_client() -> None:
    snippets.run("README.md", kind="python client")
    attempts = Attempt.objects.filter(name="order-4712").order_by("attempt")
    rows = attempts.values_list("outcome", "reason", "result")
    assert list(rows) == [
        ("discarded", "the warehouse is closed", None),
        ("succeeded", None, {"shipped": "30.00"}),
    ]


def test_the_page_of_the_api_shows_calls_that_work(service: str) -> None:
    printed = shell("\n".join(source for source, _ in snippets.blocks("docs/api.md", "sh")), service)
    answers = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert len(answers) >= 30
    assert [answer["result"] for answer in answers if "index" in answer] == ["created", "refused"]
    assert [answer["executions"] for answer in answers if "first" in answer] == [10]
    assert not [answer for answer in answers if answer.get("type") == "about:blank"]


def test_the_problem_that_the_page_of_the_api_shows_is_the_answer(service: str) -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```$", snippets.page("docs/api.md"), re.MULTILINE | re.DOTALL)
    script = """
        ask() { curl -s -H "Authorization: Bearer $TIMER_SERVICE_KEY" -H "Content-Type: application/json" "$@"; }
        ask http://localhost:8000/api/v1/groups -d '{"name": "orders", "action": {"kind": "pull"}}' >/dev/null
        ask http://localhost:8000/api/v1/groups/orders/timers -d '{"kind": "fixed_rate", "name": "o", "period": -1}'
    """
    answer = json.loads(shell(script, service))
    assert answer | {"request_id": "..."} == json.loads(shown)


def test_the_page_of_the_api_names_the_lists_that_are_told_whole() -> None:
    schema = api.get_openapi_schema()
    answers = {
        path: schema["components"]["schemas"][reference.rpartition("/")[2]]["properties"]
        for path, verbs in schema["paths"].items()
        for reference in re.findall(
            r"#/components/schemas/\w+", str(verbs.get("get", {}).get("responses", {}).get("200"))
        )
    }
    whole = {path.partition("/v1")[2] for path, fields in answers.items() if "items" in fields and "next" not in fields}
    (told,) = re.findall(r"Five are told whole, without `next`:(.*?)\n- ", snippets.page("docs/api.md"), re.DOTALL)
    assert whole == set(re.findall(r"`(/[^`]+)`", told))
