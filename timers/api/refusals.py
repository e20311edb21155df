"""Conversion of exceptions to problems."""

from __future__ import annotations

import logging
from typing import Final

from django.core.exceptions import DisallowedHost, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, IntegrityError, InterfaceError, InternalError, OperationalError
from django.http import Http404
from ninja.errors import AuthenticationError, AuthorizationError, HttpError, ValidationError
from psycopg.errors import LockNotAvailable, QueryCanceled

from timers.api.problems import Problem, not_found
from timers.api.strict_json import MalformedJson
from timers.exceptions import (
    FieldProblem,
    InvalidRequest,
    NotAllowedNow,
    QuotaExceeded,
    StaleToken,
    StaleVersion,
    TimerExists,
    TimerNotFound,
    TimersError,
)
from timers.security.rate_limits import TooManyRequests
from timers.server.commits import WORDS as OUTCOME_UNKNOWN
from timers.server.commits import CommitOutcomeUnknown
from timers.server.identity import ServerRefused
from timers.server.unmigrated import NOT_MIGRATED, is_caused_by_missing_migrations

logger = logging.getLogger(__name__)

RETRY_AFTER: Final = 2.0
"""Seconds after which a request may be repeated when the database was unavailable."""

NOT_SERVED: Final = (
    "This host (the Host header) is not served here; whoever runs the service names it in ALLOWED_HOSTS."
)

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""HTTP methods that change nothing."""

# Raised by psycopg if the server is unavailable, starting, stopping, a standby, or a lock timed out.
DATABASE_AWAY: Final = (OperationalError, InterfaceError, InternalError)

SERVER_REFUSED: Final = (
    "The database server that answers is not the one that the service worked on; nothing is read or saved there. "
    "The administrator finds the reason in the log."
)

_TOO_SLOW: Final = frozenset({QueryCanceled.sqlstate, LockNotAvailable.sqlstate})


def problem_from_exception(error: BaseException, method: str | None = None) -> Problem:
    """Return the problem for an exception. For an unexpected one, log the traceback and return an id to the caller.

    `method`: HTTP method of the request, if known; for a read-only request the message does not mention changes.
    """
    match error:
        case Problem():
            return error
        case TimerExists():
            return Problem.of_spec(error, "name_taken")
        case QuotaExceeded():
            return Problem.of_spec(error, "quota")
        case InvalidRequest():
            return Problem.of_spec(error)
        case TimerNotFound():
            return Problem("not_found", str(error))
        case Http404():
            return not_found()
        case TooManyRequests():
            return Problem("rate_limited", str(error), retry_after=error.retry_after)
        case StaleVersion():
            return Problem("stale_version", str(error))
        case StaleToken():
            return Problem("stale_token", str(error))
        case NotAllowedNow():
            return Problem("not_allowed_now", str(error))
        case TimersError():
            return Problem("not_allowed_now", str(error))
        case MalformedJson():
            return Problem("malformed", f"The body {error}.", [FieldProblem("body", str(error))])
        case ValidationError():
            return Problem.of_fields("invalid", [FieldProblem(**each) for each in error.errors])
        case AuthenticationError():
            return Problem("unauthorized", "Give a valid application key: `Authorization: Bearer tk_...`, or sign in.")
        case AuthorizationError():
            return Problem("forbidden", "This is not allowed.")
        case HttpError() if error.__cause__ is not None:
            return problem_from_exception(error.__cause__, method)
        case HttpError(status_code=403):
            return Problem("forbidden", "The CSRF token is missing or wrong; send it as X-CSRFToken.")
        case RequestDataTooBig():
            return Problem("too_large", "The body is too large.")
        case DisallowedHost():
            return Problem("malformed", NOT_SERVED)
        case SuspiciousOperation():
            return Problem("malformed", "The request is malformed.")
        case IntegrityError():
            logger.warning("two changes at one moment", exc_info=error)
            return Problem("not_allowed_now", "Somebody changed what this depends on at the same moment; try again.")
        case DataError():
            logger.warning("the database refused a value", exc_info=error)
            return Problem("malformed", "A value is out of the range that can be kept.")
        case _ if is_caused_by_missing_migrations(error):
            logger.warning("%s", NOT_MIGRATED)
            return Problem("unavailable", NOT_MIGRATED, retry_after=RETRY_AFTER)
        case _ if isinstance(error, DATABASE_AWAY):
            return _unavailable(error, method)
        case _:
            logger.error("a request failed", exc_info=error)
            return Problem("failed", "Something went wrong here; the log tells what, under this request id.")


def _unavailable(error: BaseException, method: str | None) -> Problem:
    # One line: while the database is unavailable every request gets here, and the traceback is always the same.
    if isinstance(error.__cause__, CommitOutcomeUnknown):
        logger.warning("commit outcome unknown: %s", " ".join(str(error).split()))
        return Problem("unavailable", OUTCOME_UNKNOWN, retry_after=RETRY_AFTER)
    if isinstance(error.__cause__, ServerRefused):
        logger.error("%s", " ".join(str(error).split()))
        return Problem("unavailable", SERVER_REFUSED, retry_after=RETRY_AFTER)
    how = "did not answer in time" if getattr(error.__cause__, "sqlstate", None) in _TOO_SLOW else "is unavailable"
    logger.warning("the database %s: %s", how, " ".join(str(error).split()))
    said = "The database cannot be reached, or did not answer in time."
    if method not in READING:
        said += " Whether a change was made is unknown: repeat the request with its Idempotency-Key."
    return Problem("unavailable", said, retry_after=RETRY_AFTER)
