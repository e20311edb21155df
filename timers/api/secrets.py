"""Routes of secrets that HTTP actions send and sign with. Values are write-only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, ConfigDict, Field

from timers.api.authentication import caller
from timers.api.conditions import IF_MATCH, ON_PUT, check_put, check_version, etag, wanted_version
from timers.api.fields import Body, Name, Seconds
from timers.api.route import Answer, route
from timers.control.secrets import create_secret, delete_secret, replace_secret
from timers.database import transaction
from timers.domain.policies import MAX_SECONDS
from timers.insights.secrets import secrets
from timers.models import Secret

router = Router(tags=["secrets"])
SECRET = "/secrets/{secret}"  # noqa: S105 - an address

Value = Annotated[str, Field(min_length=1, max_length=8192)]


class SecretAnswer(BaseModel):
    """A secret without its value."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    kind: str
    description: str
    groups: list[str] = Field(description="Whose timers may use it.")
    all_groups: bool = Field(description="It is for every group. If not, and there is no group: its groups are gone.")
    hosts: list[str] = Field(description="Where it may be sent; empty: everywhere.")
    previous_until: datetime | None = Field(description="Until then the signing key before it signs too.")
    version: int
    updated_at: datetime
    updated_by: str


class SecretMade(SecretAnswer):
    """A secret that was just created or replaced."""

    value: str | None = Field(description="A signing key that was made here: this once, and never again.")


class SecretsAnswer(BaseModel):
    """The secrets by name."""

    items: list[SecretAnswer]


class SecretBody(Body):
    """Value of a secret, and the targets it may be sent to."""

    value: Value | None = Field(default=None, description="Left out: a signing key is made.")
    kind: Literal["text", "signing", "certificates"] | None = Field(
        default=None, description="Of an existing one it stays; left out of a new one: text."
    )
    groups: list[Name] | None = Field(default=None, description="Whose timers may use it; left out: as it was, or all.")
    hosts: list[Name] | None = Field(
        default=None, description="Where it may be sent; left out: as it was, or anywhere."
    )
    description: Annotated[str, Field(max_length=10_000)] | None = None
    overlap: Annotated[float, Seconds(0, MAX_SECONDS, "For which a signing key that is replaced signs too.")] = 86_400


@route(router, "GET", "/secrets", scope="admin", answer=SecretsAnswer, all_groups=True)
def list_secrets(request: HttpRequest) -> SecretsAnswer:
    """List the secrets by name, without their values."""
    return SecretsAnswer(items=[SecretAnswer.model_validate(view) for view in secrets()])


@route(
    router, "PUT", SECRET, scope="admin", answer=SecretMade, also={201: SecretMade}, all_groups=True,
    unrepeatable="the answer may hold a signing key, and is kept nowhere", openapi={"parameters": ON_PUT},
)  # fmt: skip
def put_secret(request: HttpRequest, secret: Name, body: SecretBody) -> Answer:
    """Create a secret, or replace the value of an existing one. Workers use the new value within seconds.

    An Idempotency-Key is refused, because the response, which may contain a signing key, is not stored.
    """
    actor = caller(request).actor
    with transaction.atomic():
        row = Secret.objects.select_for_update(no_key=True).filter(name=secret).only("version").first()
        check_put(request, None if row is None else row.version)
        if row is None:
            made = create_secret(
                secret, body.value, kind=body.kind or Secret.Kind.TEXT, groups=body.groups or (),
                hosts=body.hosts or (), description=body.description or "", actor=actor,
            )  # fmt: skip
        else:
            made = replace_secret(
                secret, body.value, overlap=timedelta(seconds=body.overlap), kind=body.kind, groups=body.groups,
                hosts=body.hosts, description=body.description, actor=actor,
            )  # fmt: skip
    (view,) = [each for each in secrets() if each.name == secret]
    told = SecretMade(**SecretAnswer.model_validate(view).model_dump(), value=made)
    return Answer(told, status=201 if row is None else 200, headers=etag(told.version))


@route(
    router, "DELETE", SECRET, scope="admin", answer=None, all_groups=True, openapi={"parameters": [IF_MATCH]}
)  # fmt: skip
def remove_secret(request: HttpRequest, secret: Name) -> None:
    """Delete a secret. Refused while an action refers to it."""
    with transaction.atomic():
        row = Secret.objects.select_for_update().filter(name=secret).only("version").first()
        check_version(0 if row is None else row.version, wanted_version(request))
        delete_secret(secret, actor=caller(request).actor)
