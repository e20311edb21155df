"""The entry action: call a handler through the cluster's own handler endpoint.

Timers name only the handler. The URL of the endpoint and its key are settings (TIMERS_ENTRY_URL, TIMERS_ENTRY_KEY), so
no timer contains them and they can change for all timers; the call is built right before it is made. In ThingWorx,
timers that must run on all nodes of a cluster need the address and the key in their code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final
from urllib.parse import quote

from timers import conf
from timers.actions.http import HttpAction
from timers.conf import forms
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest

NO_ENTRY: Final = "this installation has no entry point: TIMERS_ENTRY_URL and TIMERS_ENTRY_KEY are not both set"
_OPTIONS: Final = ("content", "timeout", "keep_response")
_ANYWHERE: Final = "https://entry.invalid/"


@dataclass(frozen=True, slots=True)
class EntryAction:
    """Call the handler endpoint with the envelope, for one handler."""

    kind: ClassVar[str] = "entry"
    handler: ClassVar[None] = None
    """None: no worker needs to know the handler, because it runs at the endpoint."""
    lane: ClassVar[str] = "entry point"
    """All of these actions call one target."""

    called: str
    """Name of the handler."""
    form: HttpAction
    """The call without its target."""

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> EntryAction | None:
        """Read the JSON form, such as `{"kind": "entry", "name": "vendors.process"}`; errors are collected."""
        mistakes.refuse_unknown(spec, ("kind", "name", *_OPTIONS), within="action.", where="for entry")
        form = HttpAction.read({"url": _ANYWHERE, **{key: spec[key] for key in _OPTIONS if key in spec}}, mistakes)
        name = spec.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= 200 or not name.isprintable():
            mistakes.add(InvalidRequest("action.name", "must be the name of a handler", given=name))
            return None
        return cls(name, form)

    def to_spec(self) -> dict[str, Any]:
        """Return the JSON form that parse reads."""
        form = self.form.to_spec()
        return {"kind": self.kind, "name": self.called, **{key: form[key] for key in _OPTIONS if key in form}}

    @property
    def name(self) -> str:
        """Name for statistics: calls of one handler are grouped together."""
        return f"entry {self.called}"

    @property
    def words(self) -> str:
        """Short description of the action."""
        return f"{self.called} by the entry point"

    def call(self) -> HttpAction | str:
        """Return the call to make with the settings of this process, or why there is none."""
        settings = conf.current()
        entry = forms.entry_url(settings.entry_url)
        if entry is None or not settings.entry_key:
            return NO_ENTRY
        path = f"{entry.path.rstrip('/')}/{quote(self.called, safe='')}"
        return replace(self.form, target=replace(entry, path=path), entry_key=settings.entry_key)
