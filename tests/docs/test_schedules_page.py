"""The examples of the page on schedules run, and do what the page says."""

from __future__ import annotations

from tests.docs import snippets
from timers.schedules import parse


def test_every_example_of_schedules_does_what_it_says() -> None:
    names = snippets.run("docs/schedules.md")

    assert names["fires"]("cron", {"expression": "30 23 * * *"}, "America/Nuuk", "2026-03-28T12:00", 2) == [
        "2026-03-29 00:00-01:00",
        "2026-03-29 23:30-01:00",
    ]


def test_every_value_that_the_page_names_is_taken() -> None:
    for expression in ("0 0 L-3W * ?", "0 0 * * FRIL", "0 0 * * 5#2", "0 0 */100,1-7 * MON", "0 15 10 ? * 5L"):
        parse("cron", {"expression": expression})
    for alias in ("@hourly H", "@daily H", "@midnight H", "@weekly H", "@monthly H", "@yearly H", "H(0-29)/10 * * * *"):
        parse("cron", {"expression": alias, "seed": "group/name"})
    for days in ("Last", "-7", "1st Sun", "5th Sat", "Last Sat", "27-3", "Last Fri-Last"):
        parse("calendar", {"day_of_month": days})
