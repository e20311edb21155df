"""Deletes the application keys of a deleted user: a foreign key cannot where users and keys are in two databases."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction  # noqa: TID251 - of the users' database
from django.db.models.signals import post_delete

from timers.database import ALIAS
from timers.models import ApplicationKey


def delete_keys_of_deleted_users() -> None:
    """Delete a user's keys from now on when it is deleted through Django."""
    post_delete.connect(_deleted, sender=get_user_model(), dispatch_uid="timers.security.deleted_users")


def _deleted(*, instance: Any, using: str, **_: Any) -> None:
    delete = partial(_delete_keys, instance.pk)
    if using == ALIAS:
        delete()
    else:
        # If the deletion of the user is rolled back, the keys are kept.
        transaction.on_commit(delete, using=using)


def _delete_keys(user: Any) -> None:
    ApplicationKey.objects.filter(user_id=user).delete()
