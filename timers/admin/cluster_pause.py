"""Pauses of the whole cluster and of partitions: adding one pauses, deleting it resumes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from timers.admin.bounded import AnyModelAdmin
from timers.admin.refusals import ControlAdmin, ControlForm, take_over
from timers.control.cluster_pause import pause_cluster, pause_partition, resume_cluster, resume_partition
from timers.control.names import MAX_TEXT
from timers.models import ClusterPause


class ClusterPauseForm(ControlForm):
    """What to pause, and why."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        partition = self.fields.get("partition")
        if isinstance(partition, forms.CharField):
            # Blanks are not an empty field, which means the whole cluster: control refuses them.
            partition.strip = False

    class Meta:
        model = ClusterPause
        fields = ("partition", "reason")
        widgets = {"reason": AdminTextareaWidget(attrs={"maxlength": MAX_TEXT})}

    def clean_partition(self) -> str:
        """Return the partition. A partition or cluster that is already paused is an error."""
        partition: str = self.cleaned_data["partition"]
        if ClusterPause.objects.filter(partition=partition).exists():
            raise ValidationError(f"{ClusterPause(partition=partition)} already.")
        return partition


@admin.register(ClusterPause)
class ClusterPauseAdmin(ControlAdmin):
    """One record for each paused partition, and one for the cluster."""

    form = ClusterPauseForm
    list_display = ("subject", "at", "by", "reason")
    fields = ("partition", "reason")
    readonly_fields = ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return AnyModelAdmin.has_delete_permission(self, request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: ClusterPause, form: Any, change: bool) -> None:
        partition = form.cleaned_data["partition"]
        given = {"reason": form.cleaned_data["reason"], "actor": request.user.get_username()}
        take_over(obj, pause_partition(partition, **given) if partition else pause_cluster(**given))

    def delete_model(self, request: HttpRequest, obj: ClusterPause) -> None:
        actor = request.user.get_username()
        if obj.partition:
            resume_partition(obj.partition, actor=actor)
        else:
            resume_cluster(actor=actor)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            self.delete_model(request, row)
