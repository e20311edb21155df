from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings

from timerproject import settings_page


def test_the_page_says_what_the_tables_say() -> None:
    written = (settings.BASE_DIR / "docs/settings.md").read_text()
    assert written == settings_page.page(), "run: python -m timerproject.settings_page > docs/settings.md"


def test_every_variable_that_the_settings_read_is_on_the_page() -> None:
    source = Path(settings.BASE_DIR / "timerproject/settings.py").read_text()
    read = set(re.findall(r'(?:env|environment)\.\w+\("([A-Z_]+)"', source))
    assert read
    assert read <= {name for name, _, _ in settings_page.PROJECT}
