"""Chain: a named graph of steps; its versions, and the steps that are stopped or skipped."""

from __future__ import annotations

from django.db import models

from timers.models.fields import ExactJSONField
from timers.models.group import NAME_LENGTH, TimerGroup


class Chain(models.Model):
    """A chain of a group. New orders use its newest version; orders in progress finish on their own version."""

    class State(models.TextChoices):
        ACTIVE = "active"
        STOPPED = "stopped"

    group = models.ForeignKey(TimerGroup, on_delete=models.CASCADE, related_name="chains", db_index=False)
    name = models.CharField(max_length=NAME_LENGTH)
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE, editable=False)
    state_reason = models.TextField(blank=True, default="", editable=False)
    state_changed_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="", editable=False)
    state_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    newest = models.PositiveIntegerField(default=1, editable=False, help_text="The version that new orders take.")
    is_releasing = models.BooleanField(
        default=False, editable=False, help_text="Orders that stood before a step may have to go on."
    )
    # Database defaults: nodes of the previous version create chains without these columns.
    source = models.CharField(
        max_length=NAME_LENGTH,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="The file that declares the chain; empty: none.",
    )
    owner = models.CharField(
        max_length=NAME_LENGTH,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="The program that declares the chain; empty: none.",
    )
    declared_version = models.PositiveIntegerField(
        null=True, editable=False, help_text="The version that was declared last; empty: it is not declared any more."
    )
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="", editable=False)
    updated_at = models.DateTimeField(editable=False)
    updated_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="", editable=False)

    class Meta:
        db_table = "timers_chain"
        ordering = ("group__name", "name")
        constraints = (models.UniqueConstraint(fields=("group", "name"), name="timers_chain_name"),)

    def __str__(self) -> str:
        return self.name


class ChainVersion(models.Model):
    """One version of a chain's definition; never changed."""

    chain = models.ForeignKey(Chain, on_delete=models.CASCADE, related_name="versions", db_index=False)
    version = models.PositiveIntegerField()
    definition = ExactJSONField(help_text="The steps, as docs/chains.md describes them.")
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="", editable=False)

    class Meta:
        db_table = "timers_chain_version"
        ordering = ("chain", "-version")
        constraints = (models.UniqueConstraint(fields=("chain", "version"), name="timers_chain_version_number"),)

    def __str__(self) -> str:
        return f"{self.chain} version {self.version}"


class ChainStep(models.Model):
    """A step of a chain that is, or was, stopped or skipped; steps without a row are active."""

    class State(models.TextChoices):
        ACTIVE = "active"
        STOPPED = "stopped"
        SKIPPED = "skipped"

    chain = models.ForeignKey(Chain, on_delete=models.CASCADE, related_name="steps", db_index=False)
    name = models.CharField(max_length=NAME_LENGTH)
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    state_reason = models.TextField(blank=True, default="")
    state_changed_by = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    state_changed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "timers_chain_step"
        constraints = (models.UniqueConstraint(fields=("chain", "name"), name="timers_chain_step_name"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"
