"""The command that runs a node, as far as it goes without one; nodes themselves are in tests/cluster."""

from __future__ import annotations

from django.core.checks.registry import registry

from timers.management.commands.runtimerworker import Command


def test_a_node_checks_all_but_the_addresses_that_it_does_not_serve() -> None:
    checked = Command().get_check_kwargs({})["tags"]
    assert registry.tags_available() - checked == {"urls"}
    assert "timers" in checked
