"""The same field as the cluster tests, and the same callers as the API's."""

from __future__ import annotations

from tests.api.conftest import _strangers, billing, new_key, superuser
from tests.cluster.conftest import calling, field, here

__all__ = ["_strangers", "billing", "calling", "field", "here", "new_key", "superuser"]
