"""rest: requests of the REST API per second, and the duration of one request."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import aiohttp

from timerproject.bench.ground import PAYLOAD, Ground, far_future
from timerproject.bench.web_process import WebProcess

BULK_CALLS: Final = 5
BULK: Final = 10_000
WARM_UP: Final = 1.5
"""Seconds before the first figure: the first request of each process and thread is slower."""


def measure(*, seconds: float, future: int, web_workers: int, web_threads: int, clients: int) -> dict[str, Any]:
    """Create one by one for `seconds`, then in bulk, then read single timers among `future` others."""
    with Ground() as ground, WebProcess(workers=web_workers, threads=web_threads) as web:
        group = ground.group("rest").name
        far_future(group, future)
        return asyncio.run(_measured(web, f"{web.url}/groups/{group}/timers", seconds, clients))


async def _measured(web: WebProcess, timers: str, seconds: float, clients: int) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {web.key}"}
    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        names: list[str] = []

        async def create() -> None:
            body = {"kind": "once", "name": f"rest-{len(names)}", "after": 86_400, "payload": PAYLOAD}
            names.append(str(body["name"]))
            async with session.post(timers, json=body) as response:
                _must_be(201, response.status, await response.read())

        async def read() -> None:
            async with session.get(f"{timers}/{random.choice(names)}") as response:
                _must_be(200, response.status, await response.read())

        await _for_a_while(create, WARM_UP, clients)
        created = await _for_a_while(create, seconds, clients)
        bulk = await _in_bulk(session, timers)
        read_ms = await _for_a_while(read, seconds, clients)
        # Like an operator's page: one after the other, with no other requests.
        alone = await _for_a_while(read, seconds, 1)
    return {"create": created, "bulk": bulk, "read": read_ms, "read_one_client": alone}


async def _for_a_while(ask: Callable[[], Awaitable[None]], seconds: float, clients: int) -> dict[str, Any]:
    """Repeat a request from `clients` clients concurrently; return requests per second and milliseconds per request."""
    took: list[float] = []
    began = time.monotonic()

    async def client() -> None:
        while time.monotonic() - began < seconds:
            start = time.perf_counter()
            await ask()
            took.append((time.perf_counter() - start) * 1000)

    await asyncio.gather(*(client() for _ in range(clients)))
    whole = time.monotonic() - began
    hundredths = statistics.quantiles(took, n=100)
    return {
        "requests": len(took),
        "clients": clients,
        "per_second": round(len(took) / whole),
        "ms": {"p50": round(hundredths[49], 2), "p99": round(hundredths[98], 2), "most": round(max(took), 2)},
    }


async def _in_bulk(session: aiohttp.ClientSession, timers: str) -> dict[str, Any]:
    bodies = [b"\n".join(_lines(call)) for call in range(BULK_CALLS)]
    began = time.monotonic()
    for body in bodies:
        headers = {"Content-Type": "application/x-ndjson"}
        async with session.post(f"{timers}/bulk", data=body, headers=headers) as response:
            _must_be(200, response.status, said := await response.read())
            if said.count(b'"created"') != BULK:
                raise RuntimeError(f"not all were created: {said[:300]!r}")
    took = time.monotonic() - began
    return {"timers": BULK * BULK_CALLS, "seconds": round(took, 3), "per_second": round(BULK * BULK_CALLS / took)}


def _lines(call: int) -> Iterator[bytes]:
    for number in range(BULK):
        body = {"kind": "once", "name": f"bulk-{call}-{number}", "after": 86_400, "payload": PAYLOAD}
        yield json.dumps(body).encode()


def _must_be(wanted: int, status: int, body: bytes) -> None:
    if status != wanted:
        raise RuntimeError(f"the API answered {status}: {body[:300]!r}")
