"""timerctl: what it prints, what it ends with, and how it finds the service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from timers_client import TimersClient
from timers_client.ctl.arguments import parser
from timers_client.ctl.completion import completion
from timers_client.ctl.main import main

from timers.models import Attempt, Timer


@pytest.fixture
def ctl(client: TimersClient, live_server: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command, and returns its exit code."""
    client.create_group("g", action={"kind": "pull"}, retry={"min_backoff": 0})
    monkeypatch.setenv("TIMER_SERVICE_URL", live_server.url)
    monkeypatch.setenv("TIMER_SERVICE_KEY", key)
    return lambda *words: main(words)


def test_a_timer_is_scheduled_listed_shown_and_cancelled(ctl: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        ctl("schedule", "fixed-rate", "g", "a", "--period", "60", "--payload", '{"n": 1}', "--set", "priority=3") == 0
    )
    assert ctl("schedule", "cron", "g", "b", "--expression", "30 2 * * *", "--time-zone", "Europe/Berlin") == 0
    timer = Timer.objects.get(name="a")
    assert (timer.payload, timer.priority) == ({"n": 1}, 3)
    capsys.readouterr()
    assert ctl("list", "g") == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["NAME", "KIND", "STATE", "NEXT_FIRE_AT"]
    assert first.index("fixed_rate") == second.index("cron") == head.index("KIND")
    assert ctl("--json", "list", "g", "--kind", "cron") == 0
    assert json.loads(capsys.readouterr().out)["expression"] == "30 2 * * *"
    assert ctl("pause", "g", "a", "--reason", "audit") == 0
    assert ctl("show", "g", "a") == 0
    assert "state_reason       audit" in capsys.readouterr().out
    assert ctl("resume", "g", "a") == ctl("cancel", "g", "a") == 0
    assert Timer.objects.get(name="a").state == "cancelled"


def test_a_preview_says_what_would_happen(ctl: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl("preview", "cron", "g", "--expression", "30 2 * * *", "--time-zone", "Europe/Berlin", "-n", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("at 02:30") or "02:30" in lines[0]
    assert "02:30:00" in lines[1]


def test_messages_are_printed_and_committed(ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.schedule_once("g", "a", after=0, payload="ü")
    assert ctl("consume", "g", "--limit", "1", "--consumer", "me") == 0
    assert json.loads(capsys.readouterr().out)["Payload"] == "ü"
    assert Attempt.objects.get().outcome == "succeeded"


def test_a_command_is_run_for_each_message_and_its_code_decides(ctl: Any, client: TimersClient, tmp_path: Path) -> None:
    client.schedule_once("g", "a", after=0)
    seen = tmp_path / "seen"
    # The first try is given back, the second fails, the third is done.
    command = f"cat >> {seen}; echo >> {seen}; n=$(wc -l < {seen}); case $n in 1) exit 75;; 2) exit 4;; esac"
    assert ctl("consume", "g", "--limit", "3", "--exec", command) == 0
    rows = Attempt.objects.order_by("attempt").values_list("outcome", "reason")
    assert list(rows) == [("discarded", None), ("discarded", "exit code 4"), ("succeeded", None)]
    assert [json.loads(line)["NumberOfTry"] for line in seen.read_text().splitlines()] == [1, 2, 3]


def test_failed_executions_are_listed_and_retried(
    ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.schedule_once("g", "a", after=0, overrides={"retry": {"max_retries": 0}})
    (claimed,) = client.claim("g", "c")
    client.discard(claimed.execution, claimed.token, reason="broken")
    assert ctl("failed") == 0
    assert claimed.execution in capsys.readouterr().out
    assert ctl("--json", "failed", "--by-fault") == 0
    assert json.loads(capsys.readouterr().out)["count"] == 1
    assert ctl("retry", claimed.execution, "--payload", '"mended"') == 0
    assert ctl("consume", "g", "--limit", "1") == 0
    assert "mended" in capsys.readouterr().out
    assert ctl("tail", "--once") == 0
    assert "succeeded" in capsys.readouterr().out


def test_a_refusal_names_the_fields_and_the_exit_code_its_kind(
    ctl: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ctl("schedule", "fixed-rate", "g", "a", "--period", "-1") == 1
    assert "period:" in capsys.readouterr().err
    assert ctl("show", "g", "none") == 1
    with pytest.raises(SystemExit) as ended:
        ctl("schedule", "hourly", "g", "a")
    assert ended.value.code == 2
    monkeypatch.setenv("TIMER_SERVICE_URL", "nowhere")
    assert ctl("groups") == 2


def test_address_and_key_may_stand_in_a_file_that_nobody_else_can_read(
    client: TimersClient, live_server: Any, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("TIMER_SERVICE_URL", "TIMER_SERVICE_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["groups"]) == 2
    assert "TIMER_SERVICE_URL" in capsys.readouterr().err
    file = tmp_path / "timerctl.toml"
    file.write_text(f'url = "{live_server.url}"\nkey = "{key}"\n')
    file.chmod(0o644)
    assert main(["groups"]) == 2
    assert "chmod 600" in capsys.readouterr().err
    file.chmod(0o600)
    assert main(["groups"]) == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_know_every_word(shell: str) -> None:
    script = completion(shell, parser())
    assert all(word in script for word in ("schedule", "fixed-rate", "consume", "by-fault", "expression"))


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_completion_of_bash_completes() -> None:
    asked = 'COMP_WORDS=(timerctl schedule fi); COMP_CWORD=2; _timerctl; echo "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-c", completion("bash", parser()) + asked], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.stdout.split() == ["fixed-rate", "fixed-delay"], done.stderr
