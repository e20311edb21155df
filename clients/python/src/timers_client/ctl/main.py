"""timerctl itself: reads the command line, says what went wrong, and ends with a code that tells what kind it was."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from timers_client.ctl import words
from timers_client.ctl.arguments import parser
from timers_client.ctl.settings import client_of
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
        words.complete(arguments)
        return DONE
    try:
        with client_of(arguments.url, arguments.key) as client:
            words.run(arguments, client)
    except (ConnectionFailed, Unavailable) as error:
        return _say(f"the service cannot be reached: {error}", UNREACHABLE)
    except ApiError as error:
        fields = [f"  {each.field}: {each.message}" for each in error.errors]
        return _say("\n".join([f"refused ({error.code or error.status}): {error}", *fields]), REFUSED)
    except TimersError as error:
        return _say(str(error), MISTAKE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has had enough.
        sys.stderr.close()
        return DONE
    return DONE


def _say(words_: str, code: int) -> int:
    print(f"timerctl: {words_}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
