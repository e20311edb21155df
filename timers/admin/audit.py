"""The audit trail, read-only: who changed what."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from timers.admin.bounded import ReadOnlyAdmin
from timers.admin.json_text import body
from timers.models import ApplicationKey, AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Audit entries, newest first."""

    list_display = ("at", "actor", "verb", "subject", "address")
    list_display_links = ("verb",)
    search_fields = ("actor__exact",)
    search_help_text = 'The whole name of who asked; of a key in quotes: "key sender".'
    fields = (
        "at", "actor", "key_cell", "address", "request_id", "verb", "subject", "group_id", "subject_id", "before_cell",
        "after_cell",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="key")
    def key_cell(self, entry: AuditEntry) -> str:
        if entry.key_id is None:
            return "–"
        name = ApplicationKey.objects.filter(id=entry.key_id).values_list("name", flat=True).first()
        return name or f"number {entry.key_id}, which is gone"

    @admin.display(description="before")
    def before_cell(self, entry: AuditEntry) -> SafeString | str:
        return body(entry.before)

    @admin.display(description="after")
    def after_cell(self, entry: AuditEntry) -> SafeString | str:
        return body(entry.after)
