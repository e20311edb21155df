"""timerctl consume: print messages, or pass them to a command."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
from typing import Final

from timers_client.ctl.output import show_json
from timers_client.errors import TimersError
from timers_client.message import Discard
from timers_client.sync import TimersClient

DISCARD_CODE: Final = 75
"""EX_TEMPFAIL of sysexits.h: temporary failure."""
_WAIT: Final = 2.0
"""Seconds; short, so that Ctrl-C takes effect soon."""


def consume(arguments: argparse.Namespace, client: TimersClient) -> None:
    """Print each message, or run a command for it, and commit it."""
    consumer = client.consume(
        arguments.group, consumer=arguments.consumer, lease=arguments.lease, subscription=arguments.subscription,
        wait=_WAIT, on_lost="log", stop_on=[signal.SIGINT, signal.SIGTERM],
    )  # fmt: skip
    for number, message in enumerate(consumer, start=1):
        with message:
            if arguments.command is None:
                show_json(message.envelope)
            else:
                _carry_out(arguments.command, json.dumps(message.envelope, ensure_ascii=False), arguments.timeout)
        if arguments.limit is not None and number >= arguments.limit:
            consumer.stop()


def _carry_out(command: str, envelope: str, timeout: float | None) -> None:
    # --exec runs a shell command by design: the caller of timerctl wrote it. It runs in its own session, so that Ctrl-C
    # stops timerctl after it, and a command that takes too long is ended with all processes that it started.
    try:
        process = subprocess.Popen(  # noqa: S602
            command, shell=True, stdin=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True
        )
    except OSError as error:
        raise TimersError(f"no shell can be started: {error.strerror}") from error
    try:
        process.communicate(envelope, timeout=timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        raise Discard(f"the command took longer than {timeout:g} s") from None
    except BaseException:
        _end(process)
        raise
    if process.returncode == DISCARD_CODE:
        raise Discard
    if process.returncode < 0:
        raise Discard(f"ended by signal {-process.returncode}")
    if process.returncode:
        raise Discard(f"exit code {process.returncode}")


def _end(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
