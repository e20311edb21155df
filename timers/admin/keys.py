"""Application keys: create, inspect, rotate and revoke them.

The text of a key is on one page, the response to the request that created it; it is in no session, message or log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from timers import clock
from timers.admin import cells
from timers.admin.asking import ask
from timers.admin.refusals import ControlAdmin, ControlForm, take_over
from timers.admin.shown_once import show_once
from timers.control.keys import LONGEST_OVERLAP, create_key, revoke_key, rotate_key, update_key
from timers.insights.keys import KEY_STATES, key_state, keys_in_state
from timers.models import ApplicationKey
from timers.models.application_key import with_user
from timers.schedules.duration import MICROSECONDS_PER_SECOND
from timers.security.grants import check_giver
from timers.security.scopes import not_allowed

_HOUR = 3600
_LONGEST_HOURS = LONGEST_OVERLAP // MICROSECONDS_PER_SECOND // _HOUR


class GroupsWidget(AutocompleteSelectMultiple):
    """Shows submitted values again, without those that cannot be a group's id; the field reports them."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, [each for each in value if each.isascii() and each.isdigit()], attr)


class KeyForm(ControlForm):
    """Editable fields of a key."""

    user = forms.CharField(
        help_text="The name of the user that it acts for. Its permissions never exceed this user's.", max_length=150
    )
    scopes = forms.MultipleChoiceField(
        choices=[
            ("read", "read: look at everything"),
            ("schedule", "schedule: create, change and cancel timers"),
            ("consume", "consume: pull executions, commit and discard them"),
            ("operate", "operate: pause, fire, retry, dismiss"),
            ("admin", "admin: all of this, and groups, calendars, secrets, keys"),
        ],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = ApplicationKey
        fields = ("name", "scopes", "all_groups", "groups", "allowed_addresses", "rate", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["user"]

    def changes(self) -> dict[str, Any]:
        changed = super().changes()
        if {"groups", "all_groups"} & changed.keys():  # only valid together
            changed |= {name: self.cleaned_data[name] for name in ("groups", "all_groups")}
        return changed


class OverlapQuestion(forms.Form):
    """How long the previous secret remains valid."""

    hours = forms.FloatField(
        initial=24, min_value=0, max_value=_LONGEST_HOURS,
        help_text="How long the present secret remains valid next to the new one, so that programs can change over.",
    )  # fmt: skip


class StateFilter(admin.SimpleListFilter):
    """Filter by validity."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state) for state in KEY_STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        state = self.value()
        return queryset.filter(keys_in_state(state, clock.now())) if state in KEY_STATES else queryset


@admin.register(ApplicationKey)
class KeyAdmin(ControlAdmin):
    """Keys, newest first."""

    form = KeyForm
    autocomplete_fields = ("groups",)
    list_display = (
        "name",
        "beginning_cell",
        "username_cell",
        "state_cell",
        "scopes_cell",
        "groups_cell",
        "used_cell",
        "ends_cell",
    )
    list_filter = (StateFilter,)
    search_fields = ("^name", "^public_id")
    search_help_text = "The beginning of a key's name, or of its public id (what follows tk_)."
    actions = ("rotate", "revoke")
    told = (
        "state_cell", "beginning_cell", "user_cell", "used_cell", "previous_cell", "created_cell", "updated_cell",
        "revoked_cell",
    )  # fmt: skip

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_manytomany(
            db_field, request, widget=GroupsWidget(db_field, self.admin_site), **kwargs
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(read_at=cells.read_at())
        return with_user(rows).prefetch_related("groups") if self.is_list(request) else rows

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        given = list(KeyForm.Meta.fields)
        return ["name", "user", *given[1:]] if obj is None else [*given, *self.told]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return () if obj is None else self.told

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"user": request.user.get_username(), **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        actor = request.user.get_username()
        if change:
            check_giver(request.user.pk, obj.user_id)
            take_over(obj, update_key(obj.public_id, actor=actor, **_with_names(form.changes())))
            return
        row, text = create_key(actor=actor, **_with_names(dict(form.cleaned_data)))
        check_giver(request.user.pk, row.user_id)  # if refused, the key is rolled back
        take_over(obj, row)
        obj.shown_once = text

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Do nothing: control has written the groups too."""

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        missing = not_allowed(obj.user, obj.scopes)
        warnings = [
            f"{obj.user.get_username()} may not {scope} yet, and so neither may the key; needed: {', '.join(names)}."
            for scope, names in missing.items()
        ]
        return self._show(request, [(obj, obj.shown_once)], warnings)

    @admin.action(description="Rotate: give another secret ...", permissions=["change"])
    def rotate(self, request: HttpRequest, rows: QuerySet[ApplicationKey]) -> HttpResponse | None:
        made: list[tuple[ApplicationKey, str]] = []

        def call(key: ApplicationKey, hours: float) -> None:
            check_giver(request.user.pk, key.user_id)
            made.append(rotate_key(key.public_id, overlap=hours * _HOUR, actor=request.user.get_username()))

        asked = ask(self, request, rows, OverlapQuestion, call, title="Rotate", done="rotated")
        return self._show(request, made) if made else asked

    @admin.action(description="Revoke: refuse it from now on ...", permissions=["change"])
    def revoke(self, request: HttpRequest, rows: QuerySet[ApplicationKey]) -> HttpResponse | None:
        def call(key: ApplicationKey) -> None:
            revoke_key(key.public_id, actor=request.user.get_username())

        return ask(self, request, rows, forms.Form, call, title="Revoke for good", done="revoked")

    def _show(
        self, request: HttpRequest, made: list[tuple[ApplicationKey, str]], warnings: Sequence[str] = ()
    ) -> HttpResponse:
        title = "Application key" if len(made) == 1 else "Application keys"
        return show_once(self, request, made, title=title, warnings=warnings)

    @admin.display(description="begins with")
    def beginning_cell(self, key: ApplicationKey) -> SafeString:
        return format_html("<code>{}…</code>", key.beginning)

    @admin.display(description="user")
    def username_cell(self, key: ApplicationKey) -> str:
        return key.username

    @admin.display(description="state")
    def state_cell(self, key: Any) -> SafeString | str:
        return cells.state(key_state(key, key.read_at))

    @admin.display(description="scopes")
    def scopes_cell(self, key: ApplicationKey) -> str:
        return " ".join(key.scopes)

    @admin.display(description="groups")
    def groups_cell(self, key: ApplicationKey) -> str:
        names = [group.name for group in key.groups.all()]
        return "all" if key.all_groups else ", ".join(names[:3]) + (", …" if len(names) > 3 else "") or "none"

    @admin.display(description="last used")
    def used_cell(self, key: Any) -> SafeString | str:
        if key.last_used_at is None:
            return "never"
        return format_html("{} from {}", cells.near(key.last_used_at, key.read_at), key.last_used_address or "unknown")

    @admin.display(description="ends")
    def ends_cell(self, key: Any) -> SafeString | str:
        return "never" if key.expires_at is None else cells.near(key.expires_at, key.read_at)

    @admin.display(description="user")
    def user_cell(self, key: ApplicationKey) -> str:
        name = key.username
        if key.holder is None:
            return "no longer exists: the key is refused"
        missing = not_allowed(key.user, key.scopes)
        if not key.user.is_active:
            return f"{name}, who is not active: the key is refused"
        return f"{name}, who may not {', '.join(missing)}, and so neither may the key" if missing else name

    @admin.display(description="secret before")
    def previous_cell(self, key: Any) -> SafeString | str:
        until = key.previous_until
        return "–" if until is None or until <= key.read_at else format_html("holds until {}", cells.when(until))

    @admin.display(description="created")
    def created_cell(self, key: ApplicationKey) -> SafeString:
        return format_html("{} by {}", cells.when(key.created_at), key.created_by or "–")

    @admin.display(description="changed")
    def updated_cell(self, key: ApplicationKey) -> SafeString:
        return format_html("{} by {}", cells.when(key.updated_at), key.updated_by or "–")

    @admin.display(description="revoked")
    def revoked_cell(self, key: ApplicationKey) -> SafeString | str:
        return (
            "–"
            if key.revoked_at is None
            else format_html("{} by {}", cells.when(key.revoked_at), key.revoked_by or "–")
        )


def _with_names(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the form's fields as control accepts them: groups by their names."""
    if "groups" in fields:
        fields["groups"] = [group.name for group in fields["groups"]] or None
    return fields
