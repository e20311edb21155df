"""The demo over HTTP: one program puts messages aside while their record is locked, another takes them up again.

    TIMER_SERVICE_URL=http://127.0.0.1:8000 TIMER_SERVICE_KEY=tk_... python put_aside.py

The example of layline.io's Timer Service: workflow A meets a record that somebody has locked, and schedules a message
under the record's id. Workflow B is given it, period by period, discards it until the lock is gone, then commits it.
The key needs the scopes `schedule`, `consume` and `admin` (for the group, the first time).
"""

from __future__ import annotations

from argparse import ArgumentParser
from threading import Thread
from uuid import uuid4

from timers_client import Discard, TimersClient

GROUP = "PutAside"
LOCKED_FOR = 2
"""Tries that find the record locked."""


def workflow_a(client: TimersClient, records: int, period: float) -> None:
    """Put a message aside for each record."""
    for number in range(records):
        record = str(uuid4())
        client.schedule_fixed_rate(
            GROUP, record, period=period, until_committed=True, payload={"Record": record, "Number": number}
        )
        print(f"A: record {number} is locked; put aside as {record}", flush=True)


def workflow_b(client: TimersClient, records: int, wait: float) -> None:
    """Take the messages up again, until all have been processed."""
    left = records
    consumer = client.consume(GROUP, consumer="workflow B", limit=10, wait=wait)
    for message in consumer:
        with message:
            number = message.payload["Number"]
            if message.number_of_try <= LOCKED_FOR:
                print(f"B: record {number}, try {message.number_of_try}: still locked, put aside again", flush=True)
                raise Discard("the record is locked")
            print(f"B: record {number}, try {message.number_of_try}: processed", flush=True)
            message.result = {"processed": number}
            left -= 1
            if not left:
                consumer.stop()


def main() -> None:
    """Run both."""
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=3, help="How many records are locked (default 3).")
    parser.add_argument("--period", type=float, default=3, help="Seconds between two tries (default 3).")
    given = parser.parse_args()
    with TimersClient() as client:
        client.ensure_group(GROUP, action={"kind": "pull"})
        consuming = Thread(target=workflow_b, args=(client, given.records, given.period))
        consuming.start()
        workflow_a(client, given.records, given.period)
        consuming.join()
        left = [timer.name for timer in client.get_timers(GROUP, state="active")]
        print(f"Left to do: {len(left)}", flush=True)


if __name__ == "__main__":
    main()
