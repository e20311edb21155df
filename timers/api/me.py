"""Route that returns the caller as the API sees it."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from timers.api.authentication import caller
from timers.api.route import route

router = Router(tags=["keys"])


class MeAnswer(BaseModel):
    """The caller."""

    actor: str = Field(description="How records call you.")
    scopes: list[str]
    groups: list[str] | None = Field(description="The groups that you see; null: all.")
    rate: float | None = Field(description="Requests per second that the key may make; null: as the settings say.")


@route(router, "GET", "/me", scope=None, answer=MeAnswer)
def me(request: HttpRequest) -> MeAnswer:
    """Return the caller and its permissions."""
    who = caller(request)
    groups = None if who.groups is None else sorted(who.groups)
    return MeAnswer(actor=who.actor, scopes=sorted(who.scopes), groups=groups, rate=who.rate)
