"""Client of a distributed timer service: schedule timers and consume them.

from timers_client import Discard, TimersClient

client = TimersClient("https://timers.example.org", key="tk_...")
client.schedule_fixed_rate("MyTimerGroup", "order-4711", period=60, payload={"total": "25.00"})
for message in client.consume("MyTimerGroup"):
    with message:
        deliver(message.payload)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timers_client.answers import Cancelled, Claimed, Execution, Extended, Result, Settled, Timer
from timers_client.consumer import Consumer, Message
from timers_client.errors import (
    ApiError,
    ConnectionFailed,
    FieldProblem,
    Forbidden,
    Invalid,
    LeaseLost,
    Malformed,
    NameTaken,
    NotAllowedNow,
    NotFound,
    RateLimited,
    StaleToken,
    StaleVersion,
    TimedOut,
    TimersError,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from timers_client.message import Discard
from timers_client.sync import TimersClient

if TYPE_CHECKING:
    from timers_client.aio import AsyncTimersClient

__all__ = [
    "ApiError",
    "AsyncTimersClient",
    "Cancelled",
    "Claimed",
    "ConnectionFailed",
    "Consumer",
    "Discard",
    "Execution",
    "Extended",
    "FieldProblem",
    "Forbidden",
    "Invalid",
    "LeaseLost",
    "Malformed",
    "Message",
    "NameTaken",
    "NotAllowedNow",
    "NotFound",
    "RateLimited",
    "Result",
    "Settled",
    "StaleToken",
    "StaleVersion",
    "TimedOut",
    "Timer",
    "TimersClient",
    "TimersError",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
]


def __getattr__(name: str) -> Any:
    """Import AsyncTimersClient on first use, because only it needs aiohttp."""
    if name == "AsyncTimersClient":
        try:
            from timers_client.aio import AsyncTimersClient
        except ModuleNotFoundError as error:
            if error.name not in {"aiohttp", "yarl"}:
                raise
            raise ImportError("AsyncTimersClient needs aiohttp: pip install 'timers-client[async]'") from error
        return AsyncTimersClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
