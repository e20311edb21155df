"""Secret: credentials that timers send, encrypted."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from timers.models.group import NAME_LENGTH


class Secret(models.Model):
    """A named secret that actions refer to by its name; its value is encrypted, and never shown again."""

    class Kind(models.TextChoices):
        TEXT = "text"
        SIGNING = "signing"
        CERTIFICATES = "certificates"

    name = models.CharField(max_length=NAME_LENGTH, unique=True)
    kind = models.CharField(
        max_length=12,
        choices=Kind,
        default=Kind.TEXT,
        help_text="text: a password or token; signing: signs webhooks; certificates: whom to trust, as PEM.",
    )
    description = models.TextField(blank=True, default="")
    groups = ArrayField(
        models.CharField(max_length=NAME_LENGTH),
        default=list,
        blank=True,
        help_text="The groups whose timers may use it; empty: all.",
    )
    # In the order of the names; 0: no group has that name yet. After these come ids of deleted groups, which are never
    # reused. So a secret whose last group was deleted is for no group, not for all of them.
    group_ids = ArrayField(models.BigIntegerField(), default=list, blank=True, editable=False)
    hosts = ArrayField(
        models.CharField(max_length=253),
        default=list,
        blank=True,
        help_text="The hosts it may be sent to, as api.example.org or *.example.org; empty: all.",
    )
    key = models.CharField(max_length=32, editable=False, help_text="The name of the key that it is encrypted with.")
    value = models.BinaryField(editable=False)
    previous_key = models.CharField(max_length=32, blank=True, default="", editable=False)
    previous_value = models.BinaryField(null=True, editable=False)
    previous_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Until then the value before signs too."
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")

    class Meta:
        db_table = "timers_secret"
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(kind__in=["text", "signing", "certificates"]), name="timers_secret_kind"
            ),
        )

    @property
    def is_for_all_groups(self) -> bool:
        """Whether the timers of every group may use it."""
        return not self.groups and not self.group_ids

    def __str__(self) -> str:
        return self.name
