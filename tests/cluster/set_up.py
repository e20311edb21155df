"""Imported by the process from which those of `installed` are forked."""

from __future__ import annotations

from tests.cluster.installed import set_up_django

set_up_django()
