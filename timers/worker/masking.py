"""Mask the secrets of a call in everything that is stored or logged of it.

A target may repeat what it was sent: unchanged, escaped, encoded, or cut off. So a text is searched twice: unchanged,
and with every escape in it decoded (JSON, percent, HTML, Python, quoted-printable, each also doubled, and UTF-16). Both
are searched for the secrets, for their hexadecimal form, and for their base64 at each of its three alignments. A part
of a secret of eight characters or more is masked like the whole, because the end, the beginning, or a known prefix may
have been cut off. Characters that begin escapes (a backslash) or fold lines do not count.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cache
from html.entities import name2codepoint
from typing import Final

from timers.engine.errors import fingerprint
from timers.engine.outcome import Outcome
from timers.worker.secret_stretches import STRETCH, Stretches, windows_of
from timers.worker.well_known import FRAGMENTS

HIDDEN: Final = "(not kept)"
SHORTEST_ENCODED: Final = 4
"""Minimum bytes of a secret for a search of its base64 and hexadecimal forms: shorter ones occur by chance."""
WIDEST: Final = 16
"""Maximum bytes that an encoding makes of one byte; of a wider encoding that is cut, only the beginning is masked."""
MOST_REACH: Final = 32 * 1024
"""Maximum of `Masking.reach`, in bytes."""

_WRITTEN: Final = re.compile(
    r"""
      (?P<nothing> \x00 | =?[\r\n]+[\ \t]* | \t | (?:\\+[rnt])+ )
    | \\+u(?P<high>d[89ab][0-9a-f]{2})\\+u(?P<low>d[c-f][0-9a-f]{2})
    | (?: \\+u | \\+U0000 )(?P<unit>[0-9a-f]{4})
    | \\+U(?P<point>[0-9a-f]{8})
    | (?: %(?:25)* | = | \\+x )(?P<byte>[0-9a-f]{2})
    | &(?:amp;)*\#(?:0*(?P<decimal>[0-9]{1,7})|x0*(?P<hexadecimal>[0-9a-f]{1,6}))(?:;|(?![0-9a-z]))
    | &(?:amp;)*(?P<name>[a-z]{2,8})(?:;|(?![0-9a-z]))
    | \\+(?P<itself>(?-i:[^\\\x00]))
    | \\+
    | (?P<wide>(?-i:[^\x00-\x7f]))
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""How a character may be written other than as itself, once or several times nested.

The complements are matched case-sensitively: otherwise each takes tens of milliseconds to compile, in every worker's
start.
"""
_SIGN: Final = re.compile(r"[\x00\\%&=\r\n\t\x80-\U0010ffff]")


class Masking:
    """The secrets of one call. `reach`: bytes beyond a cut that must be read to detect a secret that crosses it."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        # One set is used for both the unchanged and the decoded text.
        self._known = Stretches(_texts(forms), _common_windows() if forms else frozenset())
        self._escaped = Stretches(filter(None, map(_short_reading, forms)))
        """Forms that are found only if they are escaped."""
        self.reach = min(WIDEST * max(map(len, forms), default=0), MOST_REACH)

    def text(self, text: str) -> str:
        """Return the text with every secret in it replaced."""
        if not self._known or not text:
            return text
        lower = text.lower()
        spans = list(self._known.found_in(lower)) if len(lower) == len(text) else []
        if "+" in text or _SIGN.search(text) is not None:
            reading = _Reading(text)
            spans += [reading.span(start, end) for start, end in self._known.found_in(reading.text)]
            for start, end in self._escaped.found_in(reading.text):
                span = reading.span(start, end)
                if span[1] - span[0] > end - start:
                    spans.append(span)
        return _replaced(text, spans) if spans else text

    def optional(self, text: str | None) -> str | None:
        """Return the masked text; None for None."""
        return None if text is None else self.text(text)


def _texts(forms: Iterable[str]) -> Iterator[str]:
    """Yield the texts to search for: the forms themselves, and their decoded readings.

    A secret may itself contain what looks like an escape: if it was encoded, decoding yields the secret; if it was
    repeated unchanged, decoding yields what the escape means.
    """
    for form in forms:
        yield from (form.lower(), _with_spaces(form))
        if not _short_reading(form):
            yield _Reading(form).text


def _short_reading(form: str) -> str:
    """Return the decoded reading of a form that consists mostly of escapes; else "".

    Such a reading is a few characters that occur in any text by chance: the secret `%61%62` is read as "ab", which is
    not a secret when written as itself.
    """
    reading = _Reading(form).text
    return reading if len(reading) < min(len(form), STRETCH) else ""


class _Reading:
    """A text with all escapes decoded, in lower case and as bytes, and the position where each byte was written."""

    def __init__(self, written: str) -> None:
        pieces: list[str] = []
        self._starts: list[int] = []
        self._pieces: list[tuple[int, int, bool]] = []
        length = at = 0

        def add(piece: str, start: int, end: int, *, is_literal: bool) -> None:
            nonlocal length
            if piece:
                pieces.append(piece)
                self._starts.append(length)
                self._pieces.append((start, end, is_literal))
                length += len(piece)

        looked = 0
        # The first pattern is a set of characters and fast; the second is tried at few positions.
        while (sign := _SIGN.search(written, looked)) is not None:
            found = _WRITTEN.match(written, sign.start())
            looked = sign.end() if found is None else found.end()
            if found is not None:
                add(written[at : found.start()], at, found.start(), is_literal=True)
                at = looked
                add(_meant(found), found.start(), at, is_literal=False)
        add(written[at:], at, len(written), is_literal=True)
        self.text = _with_spaces("".join(pieces))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the positions where the characters from `start` to before `end` were written."""
        return self._written_at(start)[0], self._written_at(end - 1)[1]

    def _written_at(self, at: int) -> tuple[int, int]:
        number = bisect_right(self._starts, at) - 1
        start, end, is_literal = self._pieces[number]
        if not is_literal:
            return start, end
        return start + at - self._starts[number], start + at - self._starts[number] + 1


def _with_spaces(text: str) -> str:
    """Return the text in lower case, with plus signs as spaces, as in form encoding."""
    return text.replace("+", " ").lower()


def _meant(found: re.Match[str]) -> str:
    """Return the meaning of an escape, as bytes in Latin-1."""
    kind, text = found.lastgroup, found[found.lastgroup or 0]
    match kind:
        case "nothing" | None:
            return ""
        case "byte":
            return chr(int(text, 16))
        case "low":
            return _bytes_of(0x10000 + (int(found["high"], 16) - 0xD800) * 0x400 + int(text, 16) - 0xDC00)
        case "unit" | "point" | "hexadecimal":
            return _bytes_of(int(text, 16))
        case "decimal":
            return _bytes_of(int(text))
        case "name":
            code = 39 if text.lower() == "apos" else name2codepoint.get(text.lower())
            return found[0] if code is None else _bytes_of(code)
        case "wide":
            return _bytes_of(ord(text))
    return text


def _bytes_of(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, as Python represents it
        return chr(code - 0xDC00)
    return chr(code).encode("utf-8", "surrogatepass").decode("latin-1") if code < 0x110000 else ""


def _replaced(text: str, spans: list[tuple[int, int]]) -> str:
    kept: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start > done or not kept:
            kept += text[done:start], HIDDEN
        done = max(done, end)
    return "".join(kept) + text[done:]


def mask_outcome(outcome: Outcome, known: Masking) -> None:
    """Mask the texts of an outcome, whether they come from the call, the client library, or an exception."""
    title = outcome.error_title
    outcome.error_title = known.optional(title)
    if outcome.error_title != title:
        # It is computed from the same text: a secret in it could be guessed and confirmed.
        outcome.error_fingerprint = fingerprint("http", outcome.execution.action_name, outcome.error_title or "")
    outcome.error_detail = known.optional(outcome.error_detail)
    outcome.reason = known.optional(outcome.reason)
    outcome.result = known.optional(outcome.result)
    outcome.pauses = known.text(outcome.pauses)
    outcome.log = known.optional(outcome.log)


@cache
def _common_windows() -> frozenset[str]:
    """Return the windows of commonly known texts, in each form: they do not identify a secret."""
    forms = (form for fragment in FRAGMENTS for form in _forms(fragment))
    return frozenset(window for text in _texts(forms) for window in windows_of(text))


def _forms(secret: str) -> Iterator[str]:
    """Yield the secret, and its encodings that are not escapes."""
    content = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield content.decode("latin-1")
    if len(content) < SHORTEST_ENCODED:
        return
    yield content.hex()
    for skipped in range(3):
        encoded = base64.b64encode(b"\0" * skipped + content).decode()
        # Only the characters that depend on nothing but the secret, whatever comes before and after it.
        core = encoded[-(-skipped * 8 // 6) : (skipped + len(content)) * 8 // 6]
        yield core
        yield core.replace("+", "-").replace("/", "_")
