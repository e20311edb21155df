"""Entry point of timerctl: parses the command line, reports errors, and exits with a code for the kind of error."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Final

from timers_client.ctl.arguments import parser
from timers_client.ctl.completion import completion
from timers_client.ctl.refusal import rate_limited, refusal
from timers_client.ctl.settings import client_of
from timers_client.ctl.words import work_of
from timers_client.errors import ApiError, ConnectionFailed, RateLimited, TimersError, Unavailable

DONE: Final = 0
REFUSED: Final = 1
MISTAKE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    try:
        try:
            return _carried_out(parser().parse_args(argv))
        finally:
            # Now, while an error can still be reported, and not when the program has ended.
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the output.
        _drop_output()
        return DONE
    except OSError as error:
        _drop_output()
        return _say(f"the output cannot be written: {error.strerror or error}", MISTAKE)


def _carried_out(arguments: argparse.Namespace) -> int:
    """Carry out the command and report its errors, except errors of the output itself; return the exit code."""
    if arguments.word == "completion":
        sys.stdout.write(completion(arguments.shell, parser()))
        return DONE
    logging.basicConfig(format="timerctl: %(message)s", level=logging.WARNING)
    try:
        with client_of(arguments.url, arguments.key, arguments.deadline) as client:
            work_of(arguments)(arguments, client)
    except (ConnectionFailed, Unavailable) as error:
        return _say(f"the service cannot be reached: {error}", UNREACHABLE)
    except RateLimited as error:
        return _say(rate_limited(error, arguments.deadline), REFUSED)
    except ApiError as error:
        return _say(refusal(error, arguments.parser.options()), REFUSED)
    except (TimersError, ValueError) as error:
        return _say(str(error), MISTAKE)
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE


def _drop_output() -> None:
    """Discard the rest of the output, so that it is not flushed at exit to a closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(words: str, code: int) -> int:
    print(f"timerctl: {words}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
