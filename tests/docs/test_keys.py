"""What the page on application keys says is so."""

from __future__ import annotations

import io
import shlex

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from tests import factories
from tests.docs import snippets
from timers.security.api_keys.format import read_key
from timers.security.scopes import PERMISSIONS

PAGE = "docs/keys.md"


@pytest.mark.django_db
def test_the_command_of_the_page_makes_the_key_it_tells_of() -> None:
    User.objects.create_user("billing")
    factories.group("invoices")
    text = snippets.page(PAGE)
    command = text.split("KEY=$(.venv/bin/python manage.py ", 1)[1].split(")\n", 1)[0].replace("\\\n", " ")
    out = io.StringIO()
    call_command(*shlex.split(command), stdout=out, stderr=io.StringIO())
    assert read_key(out.getvalue().strip())


def test_the_page_names_the_permissions_that_each_scope_needs() -> None:
    rows = [line for line in snippets.page(PAGE).splitlines() if line.startswith("| `") and "`timers." in line]
    told = {cells[1].strip(" `"): cells[3].strip() for cells in (row.split("|") for row in rows)}
    assert told == {scope: ", ".join(f"`{name}`" for name in names) for scope, names in PERMISSIONS.items()}
