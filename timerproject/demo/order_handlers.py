"""Handlers of the steps of the demo's chain, and of the timer that adds its orders from a file."""

from __future__ import annotations

import json
import logging
import random
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from timerproject.demo.order_chain import CHAIN
from timers.chains import add_order
from timers.exceptions import TimerNotFound
from timers.handlers import Fail, Fire, handler
from timers.scheduling import get_timer

ORDERS_FILE: Final = Path(__file__).with_name("orders.jsonl")
ADD_PERIOD: Final = 10
"""Seconds between two orders."""
BUSY_WAREHOUSE: Final = 0.2
"""Probability that the warehouse does not respond."""
TAG: Final = "demo"

logger = logging.getLogger(__name__)
warehouse = random.Random()
"""Random numbers for the warehouse only."""


@handler("shop.next_order", timeout=30)
def add_next_order(fire: Fire) -> dict[str, Any]:
    """Add the next order of the file, after the last the first again.

    The order and its name follow from the instant, so a repeated attempt adds nothing twice while the order is in
    progress. Afterwards its timer is deleted (on_finish of the group), and its name is free.
    """
    number = int(fire.scheduled_fire_time.timestamp()) // ADD_PERIOD % len(orders())
    order = list(orders())[number]
    name = f"{order} {fire.scheduled_fire_time:%Y-%m-%d %H:%M:%S}"
    try:
        get_timer(fire.group, name)
    except TimerNotFound:
        add_order(fire.group, CHAIN, name, variables={"order": order}, tags=[TAG], actor="shop.next_order")
        return {"added": name}
    return {"kept": name}


@handler("shop.fetch", timeout=30)
def fetch_order(fire: Fire) -> dict[str, Any]:
    """Read the order from the file."""
    return orders()[fire.payload["order"]]


@handler("shop.validate", timeout=30)
def validate_order(fire: Fire) -> None:
    """Fail permanently if the total of an order is not the sum of its lines."""
    found = sum((Decimal(line["price"]) * line["pieces"] for line in fire.payload["lines"]), Decimal(0))
    total = Decimal(str(fire.payload["total"]))
    if found != total:
        raise Fail(f"the total of {fire.payload['order']} is {total}, its lines are {found}")


@handler("shop.write_invoice", timeout=30)
def write_invoice(fire: Fire) -> dict[str, Any]:
    """Write the invoice; its number follows from the order's branch, so a repeated attempt writes the same one."""
    return {"invoice": f"I-{fire.execution_id[-8:]}"}


@handler("shop.reserve_stock", timeout=30)
def reserve_stock(fire: Fire) -> dict[str, Any]:
    """Reserve the pieces; the warehouse does not always respond."""
    if warehouse.random() < BUSY_WAREHOUSE:
        raise ConnectionError("the warehouse did not answer")
    return {"pieces": sum(line["pieces"] for line in fire.payload["lines"])}


@handler("shop.notify", timeout=30)
def notify_customer(fire: Fire) -> dict[str, Any]:
    """Confirm the order with the results of both branches."""
    order, branches = fire.payload, fire.payload["branches"]
    invoice, pieces = branches["invoice"]["invoice"], branches["stock"]["pieces"]
    logger.info("%s: order %s of %s: %s, %d pieces", fire.node, order["order"], order["customer"], invoice, pieces)
    return {"confirmed": order["order"], "invoice": invoice, "pieces": pieces}


@cache
def orders() -> dict[str, dict[str, Any]]:
    """Return the orders of the file by their numbers."""
    with ORDERS_FILE.open(encoding="utf-8") as file:
        return {order["order"]: order for order in map(json.loads, file)}
