"""The pages on job chains for those who define, deploy and migrate them: what they show is what happens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.docs import snippets
from tests.support.handlers import TemporaryHandlers
from timers.control.chains.orders import resume_order
from timers.domain.chains.order import STATES
from timers.insights.one_order import SCHEDULED, STARTING
from timers.models import Attempt, Chain, ChainOrder
from timers.scheduling import schedule_once
from timers.testing import Stepper, VirtualTime

pytestmark = pytest.mark.django_db

ORDERS, MIGRATION = "docs/orders.md", "docs/jobscheduler.md"


@pytest.fixture(autouse=True)
def node() -> Iterator[Stepper]:
    """A node that knows the handlers of the pages."""
    temporary = TemporaryHandlers()
    for name in ("orders.fetch", "orders.book"):
        temporary.add(name)
    with snippets.handlers_of_its_own():
        yield Stepper(VirtualTime())
    temporary.forget()


def deploy(folder: Path) -> None:
    ((text, _),) = snippets.blocks(ORDERS, "yaml")
    file = folder / "chains.yaml"
    file.write_text(text)
    call_command("synctimers", file=str(file), stdout=StringIO())


def test_page_has_every_state_of_an_order() -> None:
    section = snippets.page(ORDERS).partition("## Life of an order")[2].partition("\n### ")[0]

    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == {*STATES, SCHEDULED, STARTING}


def test_chain_of_the_page_is_deployed_and_its_step_may_be_repeated(tmp_path: Path, node: Stepper) -> None:
    names = snippets.run(ORDERS)
    deploy(tmp_path)
    assert Chain.objects.get().source == "file:invoicing"
    schedule_once("invoicing", "now", after=0, payload={"total": 7}, action={"kind": "chain", "chain": "invoice"})
    node.step()
    node.claim()
    node.run()
    assert len(names["invoices"]) == 1
    survivor = Stepper(node.time, "survivor")
    survivor.rescue(node)  # it died before it wrote the end of the step
    survivor.advance(600)

    assert list(Attempt.objects.order_by("attempt").values_list("outcome", flat=True))[:2] == ["lost", "advanced"]
    assert len(names["invoices"]) == 1
    order = ChainOrder.objects.get()
    assert (order.outcome, order.variables) == ("succeeded", {"total": 7, "number": 1})


def test_step_of_the_page_that_no_retry_helps_is_suspended_and_resumed_with_other_variables(
    tmp_path: Path, node: Stepper
) -> None:
    snippets.run(ORDERS)
    deploy(tmp_path)
    schedule_once("invoicing", "now", after=0, payload={"total": 0}, action={"kind": "chain", "chain": "invoice"})
    node.until_idle()
    order = ChainOrder.objects.get()
    assert (order.state, order.step) == ("suspended", "write")

    resume_order(str(order.id), variables={"total": 5})
    node.until_idle()

    assert ChainOrder.objects.get().outcome == "succeeded"
    assert list(Attempt.objects.filter(outcome="advanced").values_list("step", flat=True)) == ["write"]


def test_import_of_the_page_gives_the_definition_and_the_list_of_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    folder.mkdir()
    names = ("import.job_chain.xml", "fetch.job.xml")
    for name, (text, _) in zip(names, snippets.blocks(MIGRATION, "xml"), strict=True):
        (folder / name).write_text(text)
    ((wanted, _),) = snippets.blocks(MIGRATION, "json")
    ((listed, _),) = snippets.blocks(MIGRATION, "text")
    out = StringIO()

    call_command(
        "timers_import_chain", str(folder / names[0]), "--group", "orders", "--dry-run", stdout=out, no_color=True
    )

    printed = out.getvalue()
    definition, end = json.JSONDecoder().raw_decode(printed)
    assert definition == json.loads(wanted)
    notes = re.findall(r"^  (\S+\.xml, line .*)$", printed[end:], re.MULTILINE)
    assert notes == listed.splitlines()
