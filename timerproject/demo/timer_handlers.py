"""What the demo's timers do. Found at start, because the app is installed."""

from __future__ import annotations

import csv
import logging
import os
import random
from functools import cache
from pathlib import Path
from typing import Any, Final

from timerproject.demo import order_handlers as order_handlers  # registers the handlers of the chain
from timers.handlers import Discard, Fire, handler

VENDORS_FILE: Final = Path(__file__).with_name("vendors.csv")
COMMITTED_AT_TRY: Final = 3
FLAKY_FAILURES: Final = 0.3

logger = logging.getLogger(__name__)


@handler("vendors.process", timeout=30)
def process_vendor(fire: Fire) -> dict[str, Any]:
    """ThingWorx's example: every few seconds process one vendor of the list at random, and log who did it."""
    vendor = random.choice(vendors())
    logger.info("%s: processed vendor %s (%s)", fire.node, vendor["name"], vendor["city"])
    return {"vendor": vendor["name"], "node": fire.node, "process": os.getpid()}


@handler("messages.deliver", timeout=30)
def deliver_message(fire: Fire) -> dict[str, Any]:
    """layline.io's example: look at a held message, discard it until its condition is met, then commit it."""
    envelope = fire.envelope()
    logger.info("try %d received: %s", fire.number_of_try, envelope)
    if fire.number_of_try < COMMITTED_AT_TRY:
        logger.info("try %d discarded: the receiving system is not available yet", fire.number_of_try)
        raise Discard("the receiving system is not available yet")
    logger.info("try %d committed", fire.number_of_try)
    return envelope


@handler("reports.nightly", timeout=60)
def report(fire: Fire) -> dict[str, Any]:
    """A cron report: count the vendors by country."""
    countries: dict[str, int] = {}
    for vendor in vendors():
        countries[vendor["country"]] = countries.get(vendor["country"], 0) + 1
    return {"for": f"{fire.scheduled_fire_time:%Y-%m-%d %H:%M %Z}", "vendors": len(vendors()), "by country": countries}


@handler("reminders.remind", timeout=10)
def remind(fire: Fire) -> dict[str, Any]:
    """A one-shot: say what is to be remembered."""
    logger.info("reminder: %s", fire.payload)
    return {"said": fire.payload, "to the second": f"{fire.fire_time:%H:%M:%S}"}


@handler("demo.flaky", timeout=10)
def flaky(fire: Fire) -> dict[str, Any]:
    """Fails about every third time; the retry policy carries it through."""
    if random.random() < FLAKY_FAILURES:
        raise ConnectionError(f"the price feed of {random.choice(vendors())['name']} did not answer")
    return {"prices": random.randint(20, 400), "try": fire.number_of_try}


@handler("demo.always_fails", timeout=10)
def always_fails(fire: Fire) -> None:
    """Fails until no try is left: the execution is parked as failed, its payload kept for a person."""
    raise ValueError(f"invoice {fire.payload['invoice']}: the total is not the sum of its lines")


@cache
def vendors() -> list[dict[str, str]]:
    """The rows of the vendors file."""
    with VENDORS_FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
