"""Handlers of the demo's timers, imported at start because the app is installed."""

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
    """Process one vendor of the list at random every few seconds, and log the node (ThingWorx's example)."""
    vendor = random.choice(vendors())
    logger.info("%s: processed vendor %s (%s)", fire.node, vendor["name"], vendor["city"])
    return {"vendor": vendor["name"], "node": fire.node, "process": os.getpid()}


@handler("messages.deliver", timeout=30)
def deliver_message(fire: Fire) -> dict[str, Any]:
    """Look at a held message, discard it until its condition is met, then commit it (layline.io's example)."""
    envelope = fire.envelope()
    logger.info("try %d received: %s", fire.number_of_try, envelope)
    if fire.number_of_try < COMMITTED_AT_TRY:
        logger.info("try %d discarded: the receiving system is not available yet", fire.number_of_try)
        raise Discard("the receiving system is not available yet")
    logger.info("try %d committed", fire.number_of_try)
    return envelope


@handler("reports.nightly", timeout=60)
def report(fire: Fire) -> dict[str, Any]:
    """Count the vendors by country (a cron report)."""
    countries: dict[str, int] = {}
    for vendor in vendors():
        countries[vendor["country"]] = countries.get(vendor["country"], 0) + 1
    return {"for": f"{fire.scheduled_fire_time:%Y-%m-%d %H:%M %Z}", "vendors": len(vendors()), "by country": countries}


@handler("reminders.remind", timeout=10)
def remind(fire: Fire) -> dict[str, Any]:
    """Return the reminder of a one-shot timer."""
    logger.info("reminder: %s", fire.payload)
    return {"said": fire.payload, "to the second": f"{fire.fire_time:%H:%M:%S}"}


@handler("demo.flaky", timeout=10)
def flaky(fire: Fire) -> dict[str, Any]:
    """Fail about every third time; the retry policy makes it succeed."""
    if random.random() < FLAKY_FAILURES:
        raise ConnectionError(f"the price feed of {random.choice(vendors())['name']} did not answer")
    return {"prices": random.randint(20, 400), "try": fire.number_of_try}


@handler("demo.always_fails", timeout=10)
def always_fails(fire: Fire) -> None:
    """Fail until no retry is left: the execution is parked as failed, its payload kept for a person."""
    raise ValueError(f"invoice {fire.payload['invoice']}: the total is not the sum of its lines")


@cache
def vendors() -> list[dict[str, str]]:
    """Return the rows of the vendors file."""
    with VENDORS_FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
