"""timerctl itself: reads the command line, says what went wrong, and ends with a code that tells what kind it was."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Final

from timers_client.ctl.arguments import parser
from timers_client.ctl.completion import completion
from timers_client.ctl.refusal import refusal
from timers_client.ctl.settings import client_of
from timers_client.ctl.words import work_of
from timers_client.errors import ApiError, ConnectionFailed, TimersError, Unavailable

DONE: Final = 0
REFUSED: Final = 1
MISTAKE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = parser().parse_args(argv)
    if arguments.word == "completion":
        sys.stdout.write(completion(arguments.shell, parser()))
        return DONE
    logging.basicConfig(format="timerctl: %(message)s", level=logging.WARNING)
    try:
        with client_of(arguments.url, arguments.key, arguments.deadline) as client:
            work_of(arguments)(arguments, client)
            sys.stdout.flush()
    except (ConnectionFailed, Unavailable) as error:
        return _say(f"the service cannot be reached: {error}", UNREACHABLE)
    except ApiError as error:
        return _say(refusal(error, arguments.parser.options()), REFUSED)
    except (TimersError, ValueError) as error:
        return _say(str(error), MISTAKE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has had enough; what is left of it must not be flushed into a broken pipe at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return DONE


def _say(words: str, code: int) -> int:
    print(f"timerctl: {words}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
