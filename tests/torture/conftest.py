"""The same field as the cluster tests."""

from __future__ import annotations

from tests.cluster.conftest import field

__all__ = ["field"]
