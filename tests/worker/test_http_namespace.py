"""Hostile URLs and a rebinding name server, in a network of their own with listeners where an attack would land."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

NAMESPACES = ["unshare", "--map-root-user", "--net", "--mount"]


@pytest.fixture(scope="module")
def attack() -> dict[str, Any]:
    try:
        subprocess.run([*NAMESPACES, "ip", "link"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine gives no network namespaces (unshare, ip)")
    done = subprocess.run(
        [*NAMESPACES, sys.executable, "-m", "tests.worker.walled"],
        cwd=settings.BASE_DIR, env=os.environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_hostile_urls_are_seen_by_no_listener_on_loopback_private_and_metadata_addresses(
    attack: dict[str, Any],
) -> None:
    assert attack["urls"] >= 60
    assert set(attack["ends"]) <= {"error", "refused"}
    assert attack["seen"] == []


def test_a_rebinding_name_server_leads_to_none_of_them_either(attack: dict[str, Any]) -> None:
    assert attack["asked"] >= 40
    assert any("is a loopback address" in end for end in attack["turning"])
    assert any("a private address" in end for end in attack["turning"])
    assert any("metadata server" in end for end in attack["turning"])
    assert any("no connection to" in end for end in attack["turning"]), "the public one was tried"
    assert attack["seen"] == []


def test_the_listeners_would_have_seen_it(attack: dict[str, Any]) -> None:
    assert attack["opened"] == ["127.0.0.1", "10.0.0.1", "169.254.169.254", "fd00::1"]
