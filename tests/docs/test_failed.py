"""The examples of the page on failed executions run, and do what it says."""

from __future__ import annotations

import pytest

from tests import factories
from tests.docs import snippets
from timers.engine.operations import carry_out
from timers.models import Attempt, BulkOperation, Waiting

pytestmark = pytest.mark.django_db


def test_failed_executions_are_told_retried_with_a_mended_payload_dismissed_and_replayed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    factories.node()  # knows the handler
    group = factories.group("billing")
    mended = factories.waiting(factories.timer("broken", in_group=group), payload={"total": "25.00"})
    given_up = factories.waiting(factories.timer("test-1", in_group=group), error_title="KeyError: 'to'")
    refused = factories.waiting(factories.timer("c", in_group=group), error_title="OSError: Connection refused")
    ended = factories.attempt(factories.timer("d", in_group=group))

    names = snippets.run("docs/failed.md", ended=str(ended.pk))
    while carry_out() == 0.0:
        pass

    assert "3 OSError: Connection refused" in capsys.readouterr().out
    mended.refresh_from_db()
    assert (mended.state, mended.payload) == ("ready", {"total": "25.00", "currency": "EUR"})
    given_up_row = Attempt.objects.get(pk=given_up.pk)
    assert (given_up_row.outcome, given_up_row.reason) == ("failed", "rehearsal")
    refused.refresh_from_db()
    assert refused.state == "ready"
    assert refused.reason == f"retried by ann (operation {names['operation'].id}): the bank is back"
    assert BulkOperation.objects.get().done == 1
    assert Waiting.objects.get(id=names["again"]).origin == "replay"
