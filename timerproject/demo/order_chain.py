"""The demo's job chain: an order of the shop is fetched, validated, booked in two branches, approved and confirmed."""

from __future__ import annotations

from typing import Final

from timers.chains import ChainBuilder, chain, create_chain, update_chain
from timers.exceptions import TimerExists

GROUP: Final = "shop"
CHAIN: Final = "import-order"
APPROVED_FROM: Final = 1000
"""The total from which on an approval is needed."""
APPROVAL_DEADLINE: Final = 60
"""Seconds that the approval waits for a person; then the order is approved, so that the demo continues unattended."""


def definition() -> ChainBuilder:
    """Return the steps of the chain."""
    return (
        chain(CHAIN, description="Import of an order: large ones are approved by a person.")
        .step("fetch", action="shop.fetch", results=["customer", "lines", "total"])
        .step("validate", action="shop.validate", on_error={"goto": "rejected"})
        .fork("book", {"invoice": "write invoice", "stock": "reserve stock"}, join="booked")
        .step("write invoice", action="shop.write_invoice", results=["invoice"], next="booked")
        .step("reserve stock", action="shop.reserve_stock", results=["pieces"], retry=[2, 5, 10], next="booked")
        .join("booked")
        .choice("large", when=[({"total": {"at_least": APPROVED_FROM}}, "approve")], default="notify")
        .approval(
            "approve", text="Import this large order?", deadline=APPROVAL_DEADLINE, default="approve",
            refused="rejected", next="notify",
        )
        .step("notify", action="shop.notify", next="imported")
        .end("imported")
        .end("rejected", outcome="failed", reason="the order is wrong, or was refused")
    )  # fmt: skip


def ensure_chain(actor: str) -> None:
    """Create the chain, or a new version of it if the demo's definition has changed."""
    try:
        create_chain(GROUP, CHAIN, definition(), actor=actor)
    except TimerExists:
        update_chain(GROUP, CHAIN, definition(), actor=actor)
