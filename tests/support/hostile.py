"""Exceptions that resist being recorded, by name."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, NoReturn


def hostile(name: str) -> BaseException:
    """The exception of that name."""
    return HOSTILE[name]()


def _refuse(*_: Any) -> NoReturn:
    raise SystemExit("no")


class _MuteText(Exception):
    __str__ = _refuse
    __repr__ = _refuse


class _OddText(Exception):
    """Its text is a string that is not to be trusted."""

    class _Text(str):
        encode = replace = splitlines = partition = __getitem__ = __len__ = __str__ = _refuse

    def __str__(self) -> str:
        return self._Text("odd")


class _OddAttributes(Exception):
    __class__ = property(_refuse)  # type: ignore[assignment]
    __cause__ = property(_refuse)  # type: ignore[assignment]
    __context__ = property(_refuse)  # type: ignore[assignment]
    __traceback__ = property(_refuse)  # type: ignore[assignment]
    __notes__ = property(_refuse)


class _OddClass(type):
    __name__ = property(_refuse)  # type: ignore[assignment]
    __module__ = property(_refuse)  # type: ignore[assignment]


class _OfOddClass(Exception, metaclass=_OddClass):
    pass


def _syntax_error() -> BaseException:
    return SyntaxError("x", ("f", object(), "y", []))  # type: ignore[arg-type]


def _cycle() -> BaseException:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    first.__context__ = first
    return first


def _long_chain() -> BaseException:
    error: BaseException = ValueError("innermost")
    for _ in range(20_000):
        following = ValueError("outer")
        following.__cause__ = error
        error = following
    return error


def _wide_group() -> BaseException:
    return BaseExceptionGroup("wide", [ExceptionGroup("inner", [ValueError(n)]) for n in range(20_000)])


def _deep_group() -> BaseException:
    error: BaseException = ValueError("innermost")
    for _ in range(20_000):
        error = BaseExceptionGroup("deep", [error])
    return error


def _deep_traceback() -> BaseException:
    def dive(left: int) -> None:
        if left == 0:
            raise ValueError("deep down")
        dive(left - 1)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(30_000)
    try:
        dive(20_000)
    except ValueError as error:
        return error
    finally:
        sys.setrecursionlimit(limit)
    raise AssertionError


HOSTILE: dict[str, Callable[[], BaseException]] = {
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "RecursionError": RecursionError,
    "MemoryError": MemoryError,
    "StopIteration": StopIteration,
    "CancelledError": asyncio.CancelledError,
    "group": lambda: BaseExceptionGroup("g", [SystemExit(1), ValueError("x")]),
    "syntax error without text": _syntax_error,
    "mute text": _MuteText,
    "odd text": _OddText,
    "odd attributes": _OddAttributes,
    "odd class": lambda: _OfOddClass("odd"),
    "NUL and surrogates": lambda: ValueError("\x00 \ud800"),
    "long text": lambda: ValueError("1" * 50_000_000),
    "cycle": _cycle,
    "long chain": _long_chain,
    "wide group": _wide_group,
    "deep group": _deep_group,
    "deep traceback": _deep_traceback,
}
