"""What the project's timers do."""

import os
from pathlib import Path

from shop import sales_kinds  # noqa: F401 - registers kinds of schedules and actions
from timers.handlers import Fire, handler


@handler("shop.note")
def note(fire: Fire) -> dict[str, str]:
    """Leave a line in a file."""
    with Path(os.environ["SHOP_NOTES"]).open("a") as notes:
        notes.write(f"{fire.name} {fire.payload['item']}\n")
    return {"noted": fire.payload["item"]}
