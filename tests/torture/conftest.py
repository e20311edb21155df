"""The same field as the cluster tests."""

from __future__ import annotations

from tests.cluster.conftest import calling, field, here, server

__all__ = ["calling", "field", "here", "server"]
