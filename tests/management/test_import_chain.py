"""manage.py timers_import_chain: what it writes, what it lists and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from tests.support.handlers import TemporaryHandlers
from timers.models import Attempt, Chain, ChainStep, ChainVersion, TimerGroup
from timers.scheduling import schedule_once
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.django_db

SAMPLES = settings.BASE_DIR / "tests/domain/chains/jobscheduler/samples"


@pytest.fixture(autouse=True)
def handlers() -> Iterator[TemporaryHandlers]:
    temporary = TemporaryHandlers()
    for name in ("orders.fetch", "orders.validate", "book", "notify", "acme.fetch", "acme.validate", "acme.book"):
        temporary.add(name)
    yield temporary
    temporary.forget()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for each in SAMPLES.iterdir():
        shutil.copy(each, tmp_path)
    return tmp_path / "import_orders.job_chain.xml"


def printed(*words: Any) -> str:
    out = StringIO()
    call_command("timers_import_chain", *map(str, words), stdout=out, stderr=out, no_color=True)
    return out.getvalue()


def test_chain_is_created_with_its_skipped_step_and_orders_walk_through_it(
    file: Path,
) -> None:
    text = printed(file, "--group", "orders")
    assert text.endswith("orders/import_orders: created with 6 steps; step notify is skipped.\n")
    assert "job /orders/fetch: handler orders.fetch\n" in text
    chain = Chain.objects.get()
    assert (chain.group.name, chain.created_by) == ("orders", "timers_import_chain")
    assert list(ChainStep.objects.values_list("name", "state")) == [("notify", "skipped")]
    node = Stepper(VirtualTime())
    schedule_once("orders", "one", after=0, action={"kind": "chain", "chain": "import_orders"})
    node.advance(60)
    steps = Attempt.objects.filter(outcome="advanced").order_by("attempt").values_list("step", flat=True)
    assert list(steps) == ["fetch", "validate", "book"]


def test_job_is_found_next_to_the_chain_only_where_it_is_in_that_folder(file: Path) -> None:
    assert "fetch.job.xml" not in printed(file, "--group", "orders")
    folder = file.parent / "orders"
    folder.mkdir()
    for name in (file.name, "fetch.job.xml"):
        shutil.copy(file.parent / name, folder)
    assert "orders/import_orders: version 2 created" in printed(folder / file.name, "--group", "orders")
    definition = ChainVersion.objects.get(version=2).definition
    assert definition["steps"]["fetch"]["retry"]["max_retries"] == 5


def test_second_import_makes_no_version(file: Path) -> None:
    printed(file)
    assert "jobscheduler/import_orders: unchanged; steps that are stopped or skipped are left as" in printed(file)
    assert ChainVersion.objects.count() == 1


def test_dry_run_shows_the_definition_and_writes_nothing(file: Path) -> None:
    text = printed(file, "--dry-run")
    assert text.startswith('{\n  "start": "fetch"')
    assert "Dry run, nothing was written. jobscheduler/import_orders: created with 6 steps" in text
    assert not TimerGroup.objects.exists()
    assert not Chain.objects.exists()


def test_prefix_names_the_handlers(file: Path, handlers: TemporaryHandlers) -> None:
    handlers.add("acme.notify")
    printed(file, "--handlers", "acme")
    steps = ChainVersion.objects.get().definition["steps"]
    assert [steps[name]["action"]["handler"] for name in ("fetch", "notify")] == ["acme.fetch", "acme.notify"]


def test_map_names_the_handlers(file: Path, tmp_path: Path) -> None:
    names = tmp_path / "handlers.yaml"
    names.write_text("/orders/fetch: acme.fetch\norders/validate: acme.validate\nbook: acme.book\nnotify: notify\n")
    printed(file, "--handlers", names)
    steps = ChainVersion.objects.get().definition["steps"]
    called = [steps[name]["action"]["handler"] for name in ("fetch", "validate", "book", "notify")]
    assert called == ["acme.fetch", "acme.validate", "acme.book", "notify"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("book: acme.book\n", "job_chain_node[fetch]@job: has no handler in map.yaml"),
        ("- a\n", "must be a mapping of jobs to handlers"),
        ("a: [1]\n", "must be a mapping of jobs to handlers"),
        (None, "handlers: cannot be read: No such file"),
    ],
)
def test_map_that_does_not_name_them_is_refused(file: Path, tmp_path: Path, content: str | None, words: str) -> None:
    names = tmp_path / "map.yaml"
    if content is not None:
        names.write_text(content)
    with pytest.raises(CommandError) as refused:
        printed(file, "--handlers", names)
    assert words in str(refused.value)
    assert not Chain.objects.exists()


def test_handlers_that_nobody_knows_are_named_and_nothing_is_written(file: Path) -> None:
    with pytest.raises(CommandError) as refused:
        printed(file, "--handlers", "nowhere")
    assert len(str(refused.value).splitlines()) == 4
    assert "steps.fetch.action.handler: no such handler here or on any live node" in str(refused.value)
    assert not TimerGroup.objects.exists()


def test_file_that_is_missing_or_no_xml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"file: cannot be read: No such file"):
        printed(tmp_path / "x.job_chain.xml")
    (tmp_path / "x.job_chain.xml").write_text("steps: {}")
    with pytest.raises(CommandError, match=r"file: is not XML: .* - x.job_chain.xml, line 1"):
        printed(tmp_path / "x.job_chain.xml")
