"""The project's own user model, with a UUID for a key."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class Person(AbstractUser):
    """Somebody who works in the shop."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
