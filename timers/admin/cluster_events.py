"""Cluster events: the log of the nodes."""

from __future__ import annotations

from django.contrib import admin

from timers.admin.bounded import ReadOnlyAdmin
from timers.models import ClusterEvent


@admin.register(ClusterEvent)
class ClusterEventAdmin(ReadOnlyAdmin):
    """Events, newest first."""

    list_display = ("at", "kind", "node", "detail")
    list_display_links = ("kind",)
    fields = ("at", "kind", "node", "detail")
    readonly_fields = fields
