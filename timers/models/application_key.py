"""ApplicationKey: a program's credential, and its permissions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ObjectDoesNotExist
from django.db import models, router
from django.db.models import Q, QuerySet

from timers.models.group import NAME_LENGTH, TimerGroup

KEY_NAME_LENGTH = 100
PREFIX = "tk_"
"""Prefix of every key."""
PUBLIC_ID_LENGTH = 12


class ApplicationKey(models.Model):
    """A key that acts for a user, within its scopes and groups; only a digest of its secret is stored."""

    class Scope(models.TextChoices):
        READ = "read"
        SCHEDULE = "schedule"
        CONSUME = "consume"
        OPERATE = "operate"
        ADMIN = "admin"

    name = models.CharField(
        max_length=KEY_NAME_LENGTH, help_text="The program that holds it, as it appears in records."
    )
    public_id = models.CharField(max_length=PUBLIC_ID_LENGTH, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    previous_digest = models.CharField(max_length=64, blank=True, default="", editable=False)
    previous_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Until then the secret before the last rotation holds too."
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        # The users may be in another database, where Django would look for the keys: see timers.security.deleted_users.
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="timers_application_keys",
        help_text="The key acts for this user. Its permissions never exceed this user's.",
    )
    scopes = ArrayField(
        models.CharField(max_length=10, choices=Scope),
        help_text="read, schedule, consume, operate, or admin, which includes the others.",
    )
    # Stored explicitly: a key whose last group was deleted is for no group, not for all of them.
    all_groups = models.BooleanField(default=False, help_text="For every group, also those that are created later.")
    # By id: a group that is created under a deleted one's name is another group.
    groups = models.ManyToManyField(
        TimerGroup,
        blank=True,
        related_name="+",
        db_table="timers_application_key_group",
        help_text="The groups it is for, unless it is for all.",
    )
    allowed_addresses = ArrayField(
        models.CharField(max_length=50),
        default=list,
        blank=True,
        help_text="Networks such as 10.20.0.0/16 from which it may be used; empty: from everywhere.",
    )
    rate = models.FloatField(
        null=True,
        blank=True,
        help_text="Requests per second in each web process; empty: TIMERS_API_RATE.",
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="It does not hold from then on; empty: no end.")
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="To the minute.")
    last_used_address = models.GenericIPAddressField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="", editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="", editable=False)
    updated_at = models.DateTimeField(editable=False)
    updated_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="", editable=False)

    class Meta:
        db_table = "timers_application_key"
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(fields=["name"], condition=Q(revoked_at=None), name="timers_application_key_name"),
            models.CheckConstraint(
                condition=Q(scopes__contained_by=["read", "schedule", "consume", "operate", "admin"])
                & Q(scopes__len__gte=1),
                name="timers_application_key_scopes",
            ),
            models.CheckConstraint(
                condition=Q(previous_digest="", previous_until=None)
                | (~Q(previous_digest="") & Q(previous_until__isnull=False)),
                name="timers_application_key_previous",
            ),
            models.CheckConstraint(condition=Q(rate=None) | Q(rate__gt=0), name="timers_application_key_rate"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def holder(self) -> Any:
        """The user; None if it was deleted other than through Django."""
        try:
            return self.user
        except ObjectDoesNotExist:
            return None

    @property
    def username(self) -> str:
        """The name of the user; empty if it no longer exists."""
        return "" if self.holder is None else self.holder.get_username()

    @property
    def beginning(self) -> str:
        """The beginning of the key's text, which identifies the key and is not secret."""
        return f"{PREFIX}{self.public_id}_"


def with_user(keys: QuerySet[ApplicationKey]) -> QuerySet[ApplicationKey]:
    """Return the keys with their users: joined if both are in one database, else read by a second query."""
    is_joined = router.db_for_read(get_user_model()) == keys.db
    return keys.select_related("user") if is_joined else keys.prefetch_related("user")
