"""The remote_handler action: call a handler through the cluster's own handler endpoint.

Timers name only the handler. The URL of the endpoint and its key are settings (TIMERS_ENTRY_URL, TIMERS_ENTRY_KEY), so
no timer contains them and they can change for all timers; the call is built right before it is made. In ThingWorx,
timers that must run on all nodes of a cluster need the address and the key in their code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Self
from urllib.parse import quote

from timers import conf
from timers.actions.action import Action, register
from timers.actions.http import HttpAction
from timers.conf import forms
from timers.domain.errors import ErrorCollector
from timers.exceptions import InvalidRequest

NO_ENDPOINT: Final = "this installation has no handler endpoint: TIMERS_ENTRY_URL and TIMERS_ENTRY_KEY are not both set"
_OPTIONS: Final = ("content", "timeout", "keep_response")
_ANYWHERE: Final = "https://entry.invalid/"


@register
@dataclass(frozen=True, slots=True)
class RemoteHandlerAction(Action):
    """Call the handler endpoint with the envelope, for one handler."""

    kind: ClassVar[str] = "remote_handler"
    other_names: ClassVar[tuple[str, ...]] = ("entry",)
    summary: ClassVar[str] = "call a handler at the handler endpoint"
    example: ClassVar[Mapping[str, Any]] = {"kind": "remote_handler", "name": "vendors.process"}

    called: str
    """Name of the handler."""
    form: HttpAction
    """The call without its target."""

    @classmethod
    def read(cls, spec: Mapping[str, Any], mistakes: ErrorCollector) -> Self | None:
        """Read the JSON form, such as `{"kind": "remote_handler", "name": "vendors.process"}`; errors are collected."""
        mistakes.refuse_unknown(spec, ("kind", "name", *_OPTIONS), within="action.", where="for remote_handler")
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
        return f"{self.kind} {self.called}"

    @property
    def words(self) -> str:
        """Short description of the action."""
        return f"{self.called} at the handler endpoint"

    @property
    def lane(self) -> str:
        """The handler endpoint: all of these actions call one target."""
        return "handler endpoint"

    @property
    def is_async(self) -> bool:
        """True: calls are made on the event loop."""
        return True

    def resolve(self) -> HttpAction | str:
        """Return the call to make with the settings of this process, or why there is none."""
        settings = conf.current()
        entry = forms.entry_url(settings.entry_url)
        if entry is None or not settings.entry_key:
            return NO_ENDPOINT
        path = f"{entry.path.rstrip('/')}/{quote(self.called, safe='')}"
        return replace(self.form, target=replace(entry, path=path), entry_key=settings.entry_key)
