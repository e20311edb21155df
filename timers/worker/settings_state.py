"""Attributes of Django's settings that a handler sets, deletes or overrides."""

from __future__ import annotations

from typing import Any, Final

from django.conf import LazySettings, settings
from django.core.signals import setting_changed

CHANGERS: Final = ((LazySettings, "__setattr__"), (LazySettings, "__delattr__"))
"""`override_settings` calls them too: it replaces the wrapped object."""


def read_settings() -> tuple[Any, dict[str, Any]]:
    """Return the object behind `django.conf.settings`, and its attributes."""
    wrapped = settings._wrapped  # noqa: SLF001 - where overrides take place
    return wrapped, dict(vars(wrapped))


def restore_settings(before: tuple[Any, dict[str, Any]]) -> None:
    """Restore the attributes, and notify code that caches values derived from them (`setting_changed`)."""
    wrapped, right = before
    names = _names(before, read_settings())
    settings._wrapped = wrapped  # noqa: SLF001
    present = vars(wrapped)
    for name in present.keys() - right.keys():
        del present[name]
    for name, value in right.items():
        if name not in present or present[name] is not value:
            present[name] = value
    for name in names:
        # The lazy object caches what was read through it.
        vars(settings).pop(name, None)
        setting_changed.send_robust(sender=type(wrapped), setting=name, value=right.get(name), enter=False)


def changed_settings(before: tuple[Any, dict[str, Any]], after: tuple[Any, dict[str, Any]]) -> str:
    """Return the names of the settings that differ, as text."""
    return f"settings ({', '.join(_names(before, after))[:100]})"


def _names(before: tuple[Any, dict[str, Any]], after: tuple[Any, dict[str, Any]]) -> list[str]:
    right, present = before[1], after[1]
    is_replaced = after[0] is not before[0]
    # An object that replaced the correct one has attributes only for what it overrides.
    names = present.keys() if is_replaced else right.keys() | present.keys()
    missing = object()
    return sorted(
        name for name in names if name.isupper() and right.get(name, missing) is not present.get(name, missing)
    )
