from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.server import process_environment

CHROMIUM = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run")  # fmt: skip
STARTS_WITHIN = 30

Opened = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium. Asked for and absent is a failure: a suite that skips would be green without having looked."""
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} does not exist: apt-get install chromium, or set CHROMIUM=/path/to/it")
    # Playwright's loop runs in this thread, and Django would take it for an async program.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def site(django_db_setup: None) -> Iterator[str]:
    """A real web process with production settings on the tests' database; its address."""
    environment = process_environment()
    manage = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py")]
    subprocess.run([*manage, "collectstatic", "--noinput"], env=environment, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", address, "--threads", "4", "timerproject.wsgi:application"]
    with subprocess.Popen(gunicorn, cwd=settings.BASE_DIR, env=environment, stderr=subprocess.PIPE) as web:
        _wait_for(f"http://{address}/login/", web)
        yield f"http://{address}"
        web.terminate()


@pytest.fixture
def open_page(transactional_db: None, site: str, browser: Browser) -> Iterator[Opened]:
    """Open a page as a signed-in superuser. Whatever the browser complains of fails the test."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    session = client.cookies[settings.SESSION_COOKIE_NAME].value

    def open_page(path: str = "/", *, clock: bool = False, may_fail: tuple[str, ...] = (), **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": site}])
        page = context.new_page()
        if clock:
            page.clock.install()

        def complain(what: str) -> None:
            if not any(words in what for words in may_fail):
                complaints.append(what)

        page.on("console", lambda message: message.type in ("error", "warning") and complain(message.text))
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("response", lambda answer: answer.status >= 400 and complain(f"{answer.status} {answer.url}"))
        page.on("request", lambda asked: asked.url.startswith((site, "data:")) or complain(f"asked for {asked.url}"))
        page.goto(site + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE timers_attempt")  # no managed table, so the flush after the test leaves it
    assert not complaints


def _wait_for(address: str, web: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until:
        if web.poll() is not None:
            pytest.fail(f"the web process ended: {web.stderr.read().decode() if web.stderr else ''}")
        try:
            urllib.request.urlopen(address, timeout=1).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"no answer at {address} within {STARTS_WITHIN} s")
