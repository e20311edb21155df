"""Durations formatted for people."""

from __future__ import annotations

from typing import Any, Final

_SECONDS: Final = frozenset(
    {
        "period", "delay", "every", "jitter", "remaining", "lateness", "run_time", "attempt_timeout", "misfire_grace",
        "max_lateness", "min_interval", "min_backoff", "max_backoff", "delays",
    }
)  # fmt: skip
_DAYS: Final = frozenset({"retention"})
_SHARE: Final = "retry.jitter"
"""Not a duration, but a fraction of one."""
_UNITS: Final = (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000))


def in_units(path: str, value: Any) -> Any:
    """Return the value of a field; a duration, or a list of them, as text with units."""
    name = path.rpartition(".")[2]
    if isinstance(value, list) and name in _SECONDS:
        return ", ".join(str(in_units(path, each)) for each in value) or "-"
    if not isinstance(value, (int, float)) or path.endswith(_SHARE):
        return value
    if name in _DAYS:
        return f"{value:g} d"
    return duration_text(value) if name in _SECONDS else value


def duration_text(seconds: float) -> str:
    """Format as days, hours, minutes and seconds: 17 h 46 m 11.2 s."""
    left = round(abs(seconds) * 1_000_000)
    parts = []
    for unit, length in _UNITS:
        whole, left = divmod(left, length)
        if whole:
            parts.append(f"{whole} {unit}")
    if left or not parts:
        parts.append(f"{left / 1_000_000:.6f}".rstrip("0").rstrip(".") + " s")
    return ("-" if seconds < 0 else "") + " ".join(parts)
