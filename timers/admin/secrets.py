"""Secrets: create them, define who may use them and where they may be sent, replace and delete them.

A value is only in the request that submits it; a generated signing key is on the one page that responds.
"""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db import OperationalError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from timers.admin import cells
from timers.admin.asking import ask
from timers.admin.refusals import ControlAdmin, take_over
from timers.admin.secret_form import SecretForm
from timers.admin.shown_once import show_once
from timers.control.secrets import create_secret, delete_secret, limit_secret, replace_secret, users_of
from timers.database import connection, transaction
from timers.exceptions import NotAllowedNow, TimersError
from timers.models import Secret
from timers.security.encryption import Keyring

_NAMES_SHOWN: Final = 3
_LOOK_FOR_USERS_MS: Final = 2_000
"""Statement timeout in milliseconds: no index leads from a secret to the timers that use it."""


@admin.register(Secret)
class SecretAdmin(ControlAdmin):
    """Secrets by name."""

    form = SecretForm
    ordering = ("name",)
    list_display = (
        "name", "kind", "description_cell", "groups_cell", "hosts_cell", "previous_cell", "changed_cell", "updated_by",
    )  # fmt: skip
    list_filter = ("kind",)
    search_fields = ("^name",)
    search_help_text = "The beginning of a secret's name."
    actions = ("delete_selected",)
    told = ("users_cell", "previous_cell", "key", "created_told", "changed_told")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(read_at=cells.read_at())
        return rows.defer("value", "previous_value")

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        what = (None, {"fields": ("name", "kind", "description")})
        where = ("Who may use it", {"fields": ("groups", "hosts")})
        if obj is None:
            return (what, where, ("Value", {"fields": ("new_value",)}))
        told = ("What is so", {"fields": self.told})
        if not self.has_change_permission(request, obj):
            return (what, where, told)
        is_signing = isinstance(obj, Secret) and obj.kind == Secret.Kind.SIGNING
        value = ("new_value", "make", "hours") if is_signing else ("new_value",)
        return (what, where, ("Another value", {"fields": value}), told)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return () if obj is None else ("name", "kind", *self.told)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("timers.delete_secret")

    # An error report contains the posted data, and the local variables of every function from here on.
    @method_decorator(sensitive_post_parameters("new_value"))
    @method_decorator(sensitive_variables())
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if request.method == "GET" and (self.has_add_permission(request) or self.has_change_permission(request)):
            self._warn_where_nothing_can_be_kept(request)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actor = request.user.get_username()
        name = obj.name if change else form.cleaned_data["name"]
        made = None
        if not change:
            fields = {field: form.cleaned_data[field] for field in SecretForm.Meta.fields if field != "name"}
            made = create_secret(name, form.value, actor=actor, **fields)
        elif form.replaces:
            made = replace_secret(name, form.value, overlap=form.overlap, actor=actor, **form.scope())
        elif scope := form.scope():
            limit_secret(name, actor=actor, **scope)
        take_over(obj, self.get_queryset(request).get(name=name))
        obj.shown_once = made

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._show_made(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return self._show_made(request, obj) or super().response_change(request, obj)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except TimersError as refused:
            self.message_user(request, f"Refused: {refused}.", messages.ERROR)
            return HttpResponseRedirect(reverse("admin:timers_secret_change", args=[object_id]))

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        assert isinstance(obj, Secret)
        delete_secret(obj.name, actor=request.user.get_username())

    @admin.action(description="Delete, unless actions refer to it ...", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, rows: QuerySet[Secret]) -> HttpResponse | None:
        def call(secret: Secret) -> None:
            delete_secret(secret.name, actor=request.user.get_username())

        return ask(self, request, rows, forms.Form, call, title="Delete for good", done="deleted")

    def _show_made(self, request: HttpRequest, secret: Any) -> HttpResponse | None:
        if secret.shown_once is None:
            return None
        words = ["Give it to the receiver, which verifies the signatures of calls with it."]
        if secret.previous_until is not None:
            told = cells.when(secret.previous_until)
            words.append(format_html("Until {} calls carry a signature by the key before too.", told))
        return show_once(self, request, [(secret, secret.shown_once)], title="Signing key", words=words)

    def _warn_where_nothing_can_be_kept(self, request: HttpRequest) -> None:
        try:
            Keyring.in_force().first  # noqa: B018 - raises where there is none
        except NotAllowedNow as error:
            self.message_user(request, f"No value can be kept: {error}.", messages.WARNING)

    @admin.display(description="description")
    def description_cell(self, secret: Secret) -> str:
        return secret.description if len(secret.description) <= 80 else f"{secret.description[:79]}…"

    @admin.display(description="groups")
    def groups_cell(self, secret: Secret) -> str:
        is_for_none = not secret.groups and not secret.is_for_all_groups
        return "none: they were deleted" if is_for_none else _first(secret.groups)

    @admin.display(description="hosts")
    def hosts_cell(self, secret: Secret) -> str:
        return _first(secret.hosts)

    @admin.display(description="key before")
    def previous_cell(self, secret: Any) -> SafeString | str:
        until = secret.previous_until
        return "–" if until is None or until <= secret.read_at else format_html("signs until {}", cells.when(until))

    @admin.display(description="changed")
    def changed_cell(self, secret: Any) -> SafeString | str:
        return cells.near(secret.updated_at, secret.read_at)

    @admin.display(description="used by")
    def users_cell(self, secret: Secret) -> str:
        users = _users(secret.name)
        if users is None:
            return "not known: there are too many timers to look through"
        return _first(users, none="no action")

    @admin.display(description="created")
    def created_told(self, secret: Secret) -> SafeString:
        return format_html("{} by {}", cells.when(secret.created_at), secret.created_by or "–")

    @admin.display(description="changed")
    def changed_told(self, secret: Secret) -> SafeString:
        return format_html("{} by {}", cells.when(secret.updated_at), secret.updated_by or "–")


def _first(names: list[str], none: str = "all") -> str:
    return ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "") or none


def _users(name: str) -> list[str] | None:
    """Return the first few users of a secret; None if finding them takes too long for a page."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {_LOOK_FOR_USERS_MS}")
            return users_of(name)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != "57014":  # query_canceled
            raise
        return None
