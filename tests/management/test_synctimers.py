"""manage.py synctimers: what it prints, what it writes and how it exits."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests import factories
from tests.support.handlers import TemporaryHandlers
from timers import declaring, handlers
from timers.declaring import every
from timers.models import Timer, TimerGroup
from timers.scheduling import get_timer, schedule_fixed_rate

pytestmark = pytest.mark.django_db

FIRST = """\
groups:
  work: {priority: 5}
timers:
  - {group: work, name: nightly, handler: tests.noop, expression: "30 2 * * *", time_zone: Europe/Berlin}
  - {group: work, name: often, handler: tests.noop, period: PT5M}
"""
SECOND = """\
timers:
  - {group: work, name: often, handler: tests.noop, period: PT10M, payload: {full: true}}
"""


@pytest.fixture(autouse=True)
def noop() -> Any:
    temporary = TemporaryHandlers()
    temporary.add("tests.noop")
    yield
    temporary.forget()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "timers.yaml"
    path.write_text(FIRST)
    return path


def printed(*words: Any) -> str:
    out = StringIO()
    call_command("synctimers", *map(str, words), stdout=out, stderr=out, no_color=True)
    return out.getvalue()


def test_a_file_is_brought_to_the_database_and_the_difference_shown_field_by_field(file: Path) -> None:
    assert printed("--file", file).splitlines() == [
        "+ created group work",
        "+ created work/nightly: at 02:30 every day, Europe/Berlin",
        "+ created work/often: every 5 m",
        "file:timers.yaml: 3 created (group work, work/nightly, work/often), 0 unchanged",
    ]
    file.write_text(SECOND)
    assert printed("--file", file).splitlines() == [
        "~ updated work/often",
        "    schedule: every 5 m -> every 10 m",
        '    payload: none -> {"full":true}',
        "- paused work/nightly: no longer declared in file:timers.yaml",
        "file:timers.yaml: 1 updated (work/often), 1 paused (work/nightly), 0 unchanged",
    ]
    assert printed("--file", file) == "file:timers.yaml: 1 unchanged\n"


def test_a_dry_run_shows_the_same_and_writes_nothing(file: Path) -> None:
    lines = printed("--file", file, "--dry-run").splitlines()
    assert lines[1] == "+ created work/nightly: at 02:30 every day, Europe/Berlin"
    assert lines[-1].startswith("Dry run, nothing was written.")
    assert not TimerGroup.objects.exists()


def test_programs_get_one_json_object(file: Path) -> None:
    printed("--file", file)
    file.write_text(SECOND)
    told = json.loads(printed("--file", file, "--dry-run", "--json"))
    assert (told["source"], told["dry_run"], told["unchanged"]) == ("file:timers.yaml", True, 0)
    (updated,) = told["updated"]
    assert (updated["group"], updated["name"]) == ("work", "often")
    assert updated["changes"][0] == {"field": "schedule", "before": "every 5 m", "after": "every 10 m", "edited": False}


def test_a_conflict_is_told_and_exits_with_1_and_the_rest_is_done(file: Path, capsys: Any) -> None:
    TimerGroup.objects.all().delete()
    printed("--file", file)
    Timer.objects.filter(name="often").delete()
    schedule_fixed_rate("work", "often", period=7, handler="tests.noop")
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("synctimers", file=str(file), stdout=out, stderr=out)
    assert ended.value.code == 1
    assert (
        "! in conflict work/often: a timer of that name exists, which was not made from a declaration" in out.getvalue()
    )
    assert get_timer("work", "often").schedule["period"] == 7


def test_every_mistake_is_one_line_and_nothing_is_written(file: Path) -> None:
    file.write_text(FIRST.replace("30 2", "61 2").replace("PT5M", "0"))
    with pytest.raises(CommandError) as refused:
        printed("--file", file)
    first, second = str(refused.value).splitlines()
    assert first.startswith("timers[0].expression: ")
    assert first.endswith("- timers.yaml, line 4")
    assert second.startswith("timers[1].period: must be between 1 ms and")
    assert not TimerGroup.objects.exists()


def test_programs_get_the_mistakes_as_json_too(file: Path) -> None:
    file.write_text("timers: 5\n")
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("synctimers", "--json", file=str(file), stdout=out)
    assert ended.value.code == 1
    assert [problem["field"] for problem in json.loads(out.getvalue())["errors"]] == ["timers"]


def test_without_a_file_the_codes_declarations_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declaring, "_timers", [])
    monkeypatch.setattr(declaring, "_groups", {})
    monkeypatch.setattr(declaring, "_chains", {})
    declaring.declare_group("work")
    noop = handlers.find("tests.noop")
    assert noop is not None
    every("PT5M", group="work", name="often")(noop.function)
    assert printed().splitlines()[-1] == "code: 2 created (group work, work/often), 0 unchanged"
    assert get_timer("work", "often").source == "code"


def test_two_programs_bring_files_of_one_name_and_leave_each_others_timers(file: Path, tmp_path: Path) -> None:
    printed("--file", file, "--owner", "shop")
    (tmp_path / "billing").mkdir()
    other = tmp_path / "billing" / "timers.yaml"
    other.write_text(SECOND.replace("name: often", "name: rarely"))
    assert "1 created (work/rarely), 0 unchanged" in printed("--file", other, "--owner", "billing")
    assert dict(Timer.objects.values_list("name", "state")) == dict.fromkeys(("nightly", "often", "rarely"), "active")


def test_a_name_of_another_program_is_a_conflict_that_names_both(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed("--file", file, "--owner", "shop")
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("synctimers", "--file", str(file), "--owner", "billing", stdout=out, stderr=out, no_color=True)
    assert ended.value.code == 1
    assert "of the program 'shop'; this is 'billing'" in out.getvalue()


def test_a_program_that_is_renamed_takes_its_timers_over(file: Path) -> None:
    printed("--file", file, "--owner", "shop")
    assert "2 unchanged" in printed("--file", file, "--owner", "store", "--take-over", "shop")
    assert set(Timer.objects.values_list("owner", flat=True)) == {"store"}


def test_what_a_change_came_too_late_for_is_named(file: Path) -> None:
    printed("--file", file)
    claim = factories.delivered(get_timer("work", "often"))
    (execution,) = map(str, claim.executions)
    file.write_text(SECOND)
    assert f"    1 execution already in flight: {execution}" in printed("--file", file).splitlines()


CHAIN = """\
groups:
  work:
    chains:
      main:
        steps:
          a: {action: {handler: tests.noop}, next: end}
          end: {kind: end}
timers: []
"""


def test_chains_of_a_file_are_brought_to_the_database_and_the_difference_shown(file: Path) -> None:
    file.write_text(CHAIN)
    assert printed("--file", file).splitlines() == [
        "+ created chain work/main: 2 steps",
        "+ created group work",
        "file:timers.yaml: 2 created (chain work/main, group work), 0 unchanged",
    ]
    file.write_text(CHAIN.replace("next: end", "timeout: 5, next: end"))
    assert printed("--file", file).splitlines() == [
        "~ updated chain work/main: version 2",
        "    steps.a.timeout: none -> 5",
        "file:timers.yaml: 1 updated (chain work/main), 0 unchanged",
    ]
    file.write_text("timers: []\n")
    assert printed("--file", file).splitlines() == [
        "- stopped chain work/main: no longer declared in file:timers.yaml",
        "file:timers.yaml: 1 stopped (chain work/main), 0 unchanged",
    ]
