from __future__ import annotations

from django.conf import settings

from timerproject import kinds_page
from timers import actions, schedules


def test_page_shows_the_kinds_that_there_are() -> None:
    written = (settings.BASE_DIR / "docs/kinds.md").read_text()
    assert written == kinds_page.page(), "run: python -m timerproject.kinds_page > docs/kinds.md"
    for kind in (*schedules.KINDS, *actions.KINDS):
        assert f"| `{kind}` |" in written
