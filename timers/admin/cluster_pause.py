"""The pause of the whole cluster: added, nothing starts anywhere; deleted, everything goes on."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from timers.admin.bounded import AnyModelAdmin
from timers.admin.refusals import ControlAdmin, ControlForm, take_over
from timers.lifecycle.control.names import MAX_TEXT
from timers.lifecycle.control.nodes import pause_cluster, resume_cluster
from timers.models import ClusterPause


class ClusterPauseForm(ControlForm):
    """Why."""

    class Meta:
        model = ClusterPause
        fields = ("reason",)
        widgets = {"reason": AdminTextareaWidget(attrs={"maxlength": MAX_TEXT})}


@admin.register(ClusterPause)
class ClusterPauseAdmin(ControlAdmin):
    """There is one, or none."""

    form = ClusterPauseForm
    list_display = ("at", "by", "reason")
    fields = ("reason",)
    readonly_fields = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not ClusterPause.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return AnyModelAdmin.has_delete_permission(self, request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ClusterPause, form: Any, change: bool) -> None:
        take_over(obj, pause_cluster(reason=form.cleaned_data["reason"], actor=request.user.get_username()))

    def delete_model(self, request: HttpRequest, obj: ClusterPause) -> None:
        resume_cluster(actor=request.user.get_username())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        resume_cluster(actor=request.user.get_username())
