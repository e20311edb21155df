"""The examples of the page about cluster modes run, and do what it says."""

from __future__ import annotations

import pytest

from tests import factories
from tests.docs import snippets
from timers.cluster import leadership
from timers.handlers import Fire, handler
from timers.models import TimerGroup
from timers.testing import VirtualTime

pytestmark = pytest.mark.django_db


def test_the_lead_is_handed_over_as_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    with snippets.handlers_of_its_own(), VirtualTime():
        factories.led_pair()

        @handler("books.close")
        def close(fire: Fire) -> None: ...

        snippets.run("docs/cluster-modes.md")

    assert TimerGroup.objects.get().placement == "lead"
    assert capsys.readouterr().out == "node-b 2\n"
    lead = leadership()
    assert lead is not None and (lead.node, lead.epoch) == ("node-a", 3)
