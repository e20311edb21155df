"""AuditEntry: who requested what, when, and what it changed. Rows are only added; see control/audit.py."""

from __future__ import annotations

from django.db import models

from timers.models.fields import ExactJSONField
from timers.models.group import NAME_LENGTH


class AuditEntry(models.Model):
    """One completed request of a person or a program, written in the same transaction.

    A database trigger refuses every change of a row, and its deletion except by housekeeping.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(help_text="By the database's clock.")
    actor = models.CharField(max_length=NAME_LENGTH, blank=True, help_text="Who asked, as records call them.")
    key_id = models.BigIntegerField(null=True, help_text="The application key that was used.")
    address = models.CharField(max_length=45, blank=True, help_text="Where the request came from.")
    request_id = models.CharField(max_length=64, blank=True, help_text="The request's id in answers and logs.")
    verb = models.CharField(max_length=40, help_text="What was done, such as timer.pause.")
    subject_kind = models.CharField(max_length=20)
    subject_group = models.CharField(max_length=NAME_LENGTH, blank=True)
    group_id = models.BigIntegerField(
        null=True, help_text="The group's identity: a later group of its name has another one."
    )
    subject_name = models.CharField(max_length=NAME_LENGTH, blank=True)
    subject_id = models.CharField(max_length=64, blank=True, help_text="Tells it from others of the same name.")
    before = ExactJSONField(null=True, help_text="What changed, as it was.")
    after = ExactJSONField(null=True, help_text="What changed, as it is now, and what came of it.")

    class Meta:
        db_table = "timers_audit_entry"
        verbose_name_plural = "audit entries"
        indexes = (
            models.Index(fields=("at", "id"), name="timers_audit_entry_at"),
            models.Index(fields=("actor", "at", "id"), name="timers_audit_entry_actor"),
            models.Index(fields=("subject_group", "subject_name", "at", "id"), name="timers_audit_entry_subject"),
        )

    def __str__(self) -> str:
        return f"{self.verb} {self.subject}"

    @property
    def subject(self) -> str:
        """The object of the request, as text."""
        if self.subject_kind == "group" or not self.subject_group:
            return f"{self.subject_kind} {self.subject_name or self.subject_id}".strip()
        return f"{self.subject_kind} {self.subject_group}/{self.subject_name or self.subject_id}"
