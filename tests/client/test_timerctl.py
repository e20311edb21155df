"""timerctl: what it prints, what it ends with, and how it finds the service."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import timers_client
from timers_client import TimersClient
from timers_client.ctl.main import main

from tests.support.eventually import eventually
from timers.models import Attempt, Timer


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
    assert ctl("list", "g", "--kind", "fixed-rate") == ctl("list", "g", "--kind", "fixed_rate") == 0
    assert capsys.readouterr().out.count("fixed_rate") == 2
    assert ctl("pause", "g", "a", "--reason", "audit") == 0
    assert ctl("show", "g", "a") == 0
    assert "state_reason       audit" in capsys.readouterr().out
    assert ctl("resume", "g", "a") == ctl("cancel", "g", "a") == 0
    assert Timer.objects.get(name="a").state == "cancelled"


def test_what_was_done_to_a_timer_is_told_in_one_line(ctl: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*words: str) -> str:
        assert ctl(*words) == 0
        return capsys.readouterr().out

    assert told("schedule", "once", "g", "a", "--at", "2099-01-01T00:00:00Z") == (
        "g/a: active, next fire 2099-01-01T00:00:00Z\n"
    )
    assert told("pause", "g", "a") == "g/a: paused\n"
    assert told("pause", "g", "a", "--until", "2098-01-01T00:00:00Z") == "g/a: paused until 2098-01-01T00:00:00Z\n"
    assert told("resume", "g", "a") == "g/a: active, next fire 2099-01-01T00:00:00Z\n"
    assert told("update", "g", "a", "--at", "2099-02-01T00:00:00Z") == "g/a: active, next fire 2099-02-01T00:00:00Z\n"
    assert json.loads(told("resume", "g", "a", "--json"))["name"] == "a"
    assert told("cancel", "g", "a") == "g/a: cancelled\n"


def test_a_cancelled_timer_whose_execution_is_held_says_so(
    ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.schedule_fixed_rate("g", "a", period=3600)
    client.fire_timer("g", "a")
    (claimed,) = client.claim("g", "c")
    assert ctl("cancel", "g", "a") == 0
    assert capsys.readouterr().out == f"g/a: cancelled, 1 execution already in flight: {claimed.execution}\n"


def test_what_is_given_of_a_timer_is_changed_and_the_rest_left(ctl: Any, client: TimersClient) -> None:
    assert ctl("schedule", "fixed_rate", "g", "a", "--period", "60", "--payload", "1", "--until-committed") == 0
    words = ["--payload", '{"n": 2}', "--tag", "web", "--no-until-committed", "--set", "priority=3"]
    assert ctl("update", "g", "a", "--period", "PT2M", *words) == 0
    timer = Timer.objects.get()
    assert (timer.payload, timer.tags, timer.until_committed, timer.priority) == ({"n": 2}, ["web"], False, 3)
    assert client.get_timer("g", "a").raw["period"] == 120
    assert ctl("update", "g", "a") == 2


def test_a_timer_is_debounced_and_given_its_key(ctl: Any, client: TimersClient) -> None:
    words = ("--after", "600", "--on-conflict", "replace", "--debounce-max-wait", "60", "--concurrency-key", "acme")
    for _ in range(2):
        assert ctl("schedule", "once", "g", "a", *words) == 0
    timer = client.get_timer("g", "a").raw
    assert timer["concurrency_key"] == "acme"
    assert timer["remaining"] <= 60


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
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert (line.split()[0], line.split()[-1]) == (claimed.execution, "broken")
    assert ctl("--json", "failed") == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["error"], listed["reason"]) == ("", "broken")
    assert ctl("tail", "--once") == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[-1] == "broken"
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
    assert "http:// or https:// is missing" in capsys.readouterr().err
    assert ctl("groups", "--key", "") == ctl("groups", "--url", "") == 2
    assert "key that was given is empty" in capsys.readouterr().err


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


def test_options_that_all_words_share_may_stand_before_and_after_the_word(
    ctl: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl("--json", "groups") == ctl("groups", "--json") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second and json.loads(first)["name"] == "g"
    assert ctl("groups", "--url", "http://127.0.0.1:1", "--deadline", "0") == 3
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--payload", "NaN"], "must be JSON"),
        (["--payload", "{"], "must be JSON"),
        (["--payload", "@/nowhere/x.json"], "cannot be read"),
        (["--set", "priority"], "FIELD=JSON"),
        (["--peri", "1"], "unrecognized arguments: --peri 1"),
    ],
)
def test_a_mistake_in_the_command_is_told_before_anything_is_asked(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["schedule", "fixed-rate", "g", "a", "--period", "5", *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_payload_may_come_from_a_file_or_from_standard_input(
    ctl: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "payload.json"
    file.write_text('{"n": 1180591620717411303424}')
    assert ctl("schedule", "once", "g", "a", "--after", "60", "--payload", f"@{file}") == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("[2]"))
    assert ctl("schedule", "once", "g", "b", "--after", "60", "--payload", "-") == 0
    payloads = dict(Timer.objects.values_list("name", "payload"))
    assert payloads == {"a": {"n": 2**70}, "b": [2]}


def test_what_failed_is_retried_by_conditions_in_the_background(
    ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.schedule_once("g", "a", after=0, overrides={"retry": {"max_retries": 0}})
    (claimed,) = client.claim("g", "c")
    client.discard(claimed.execution, claimed.token, reason="broken")
    assert ctl("execution", claimed.execution) == 0
    assert "broken" in capsys.readouterr().out
    assert ctl("retry") == ctl("retry", "x", "--group", "g") == ctl("retry", "--all", "--group", "g") == 2
    assert ctl("retry", "--group", "g", "--payload", "1") == 2
    assert ctl("dismiss", "--group", "g", "--reason", "known", "--pace", "5", "--json") == 0
    (operation,) = client.get_operations()
    assert json.loads(capsys.readouterr().out) == operation
    assert (operation["verb"], operation["filter"], operation["pace"]) == ("dismiss", {"group": "g"}, 5)
    assert ctl("operations") == 0
    assert "dismiss" in capsys.readouterr().out
    assert ctl("dismiss", claimed.execution) == 0
    assert not list(client.get_executions(state="failed"))


def test_a_tail_prints_each_end_once_whenever_it_was_due(
    ctl: Any, client: TimersClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old occurrence that ends now is listed below newer ones that ended before it."""
    client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(3)])
    old, *newer = client.claim("g", "c", limit=3)

    def settle(_: float) -> None:
        if not newer:
            raise KeyboardInterrupt
        client.commit(newer[0].execution, newer.pop(0).token)
        if not newer:
            client.commit(old.execution, old.token)

    monkeypatch.setattr("timers_client.ctl.tail.sleep", settle)
    assert ctl("tail", "--group", "g", "--json") == 130
    shown = [json.loads(line)["timer"] for line in capsys.readouterr().out.splitlines()]
    assert sorted(shown) == ["t0", "t1", "t2"]
    assert ctl("tail", "--once", "--timer", "t0") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert row.index("succeeded") == head.index("STATE")


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(
    ctl: Any, client: TimersClient, tmp_path: Path
) -> None:
    client.schedule_once("g", "a", after=0)
    command = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
    assert ctl("consume", "g", "--limit", "1", "--exec", command, "--timeout", "1") == 0
    assert Attempt.objects.get().reason == "the command took longer than 1 s"
    pid = (tmp_path / "pid").read_text().strip()
    # What became of it may still be on record, as nobody has asked yet how it ended.
    eventually(lambda: not Path(f"/proc/{pid}").exists() or "Z (" in Path(f"/proc/{pid}/status").read_text())


def test_a_command_that_reads_nothing_is_no_failure(ctl: Any, client: TimersClient) -> None:
    client.schedule_once("g", "a", after=0, payload="x" * 60_000)
    assert ctl("consume", "g", "--limit", "1", "--exec", "true") == 0
    assert Attempt.objects.get().outcome == "succeeded"


@contextmanager
def process(*words: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """timerctl as a process of its own."""
    command = [sys.executable, "-m", "timers_client.ctl.main", *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(timers_client.__file__).parents[1])}
    pipe = subprocess.PIPE
    options = {"stdout": pipe, "stderr": pipe, **options}
    with subprocess.Popen(command, text=True, env=environment, **options) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_message_at_hand(
    ctl: Any, client: TimersClient, tmp_path: Path, number: signal.Signals
) -> None:
    client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 0} for n in range(2)])
    begun = tmp_path / "begun"
    with process("consume", "g", "--exec", f"touch {begun}; sleep 0.3") as started:
        eventually(begun.exists)
        started.send_signal(number)
        assert started.wait(10) == 0, started.communicate()
    assert Attempt.objects.get().outcome == "succeeded"


def test_a_reader_that_has_had_enough_is_no_failure(ctl: Any, client: TimersClient) -> None:
    client.schedule_many("g", [{"kind": "once", "name": f"t{n}", "after": 600} for n in range(300)])
    with process("--json", "list", "g") as started:
        assert started.stdout is not None and started.stderr is not None
        started.stdout.readline()
        started.stdout.close()
        assert (started.wait(10), started.stderr.read()) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("words", ["list g", "--json list g", "completion bash", "consume g --limit 1"])
def test_output_that_cannot_be_written_is_told_in_one_line(ctl: Any, client: TimersClient, words: str) -> None:
    client.schedule_once("g", "a", after=0)
    with Path("/dev/full").open("w") as full, process(*words.split(), stdout=full) as started:
        assert started.stderr is not None
        assert (started.wait(10), started.stderr.read()) == (
            2, "timerctl: the output cannot be written: No space left on device\n",
        )  # fmt: skip
    assert not Attempt.objects.filter(outcome="succeeded").exists()
