"""docs/installing.md, followed step by step in a project that Django has just made."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.packaging.conftest import ROOT, Host
from tests.support.eventually import eventually

pytestmark = pytest.mark.cluster

PAGE = (ROOT / "docs" / "installing.md").read_text()
DATABASE = """
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "timers"}}
"""


def snippet(first_line: str) -> str:
    """The Python block of the page that begins with this line."""
    (found,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if block.startswith(first_line)]
    return str(found)


def test_page_leads_from_a_new_project_to_a_handler_that_runs(host: Host) -> None:
    folder = host.folder = host.folder.parent / "new"
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "django", "startproject", "shop", str(folder)], check=True)
    (folder / "shop" / "urls.py").write_text(snippet("# urls.py"))
    (folder / "shop" / "timer_handlers.py").write_text(snippet("# shop/timer_handlers.py"))
    with (folder / "shop" / "settings.py").open("a") as settings:
        database = DATABASE if host.timers_in == "default" else snippet("# settings.py, for a second database")
        database = database.replace('"NAME": "timers"', f'"NAME": "{host.database}"')
        settings.write(snippet("# settings.py\n") + 'INSTALLED_APPS += ["shop"]\nLOGGING = {}\n' + database)
    assert "no issues" in host.manage("check")
    host.migrate()
    host.python(snippet("from timers.scheduling"))
    node = host.start("runtimerworker", "--workers", "1")
    results = "from timers.models import Attempt; print(*Attempt.objects.values_list('name', 'result'))"
    try:
        eventually(lambda: "reminded Ada" in host.python(results), within=60)
    finally:
        os.killpg(node.pid, signal.SIGTERM)
        node.wait(60)


def test_page_names_the_version_and_the_extras_that_there_are() -> None:
    import tomllib

    from timers.version import VERSION

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"distributed_timers-{VERSION}-py3-none-any.whl[binary]" in PAGE
    assert set(re.findall(r"The extra `(\w+)`", PAGE)) == set(project["optional-dependencies"])
