"""manage.py timers_import_chain: convert a job chain of SOS JobScheduler 1.x to a chain."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from timers.control.chains.define import create_chain, update_chain
from timers.control.chains.steps import skip_step, stop_step
from timers.control.groups import ensure_group
from timers.database import transaction
from timers.declared_files.strict_yaml import read_yaml
from timers.domain.chains.jobscheduler import Converted, Source, convert
from timers.domain.chains.jobscheduler.steps import HandlerOf, handler_by_path
from timers.exceptions import InvalidRequest, TimersError
from timers.insights.words import plural
from timers.management.service_command import ServiceCommand
from timers.models import Chain

ACTOR: Final = "timers_import_chain"
_CHAIN_SUFFIX: Final = ".job_chain.xml"
_JOB_SUFFIX: Final = ".job.xml"
_MAPS: Final = (".json", ".yaml", ".yml")
_SET: Final[dict[str, Callable[..., Any]]] = {"stopped": stop_step, "skipped": skip_step}


class Command(ServiceCommand):
    """Steps that the file stops or skips are so from the first order on; a new version does not change their state."""

    help = (
        "Make a chain of a job chain of SOS JobScheduler 1.x (NAME.job_chain.xml, and the JOB.job.xml next to it)."
        " What has no counterpart is listed with its place."
    )
    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="NAME.job_chain.xml")
        parser.add_argument(
            "--group",
            default="jobscheduler",
            help="The chain's group, created where it is missing. Default: %(default)s.",
        )
        parser.add_argument(
            "--handlers", default="", metavar="PREFIX|MAP.yaml",
            help="The handlers of the jobs: a prefix (job /orders/fetch is PREFIX.fetch), or a YAML or JSON file that"
            " maps jobs to handlers. Default: the path of the job with dots (orders.fetch).",
        )  # fmt: skip
        parser.add_argument(
            "--dry-run", action="store_true", help="Show the definition and what would be done, and do nothing."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        file, group = Path(options["file"]), options["group"]
        try:
            found = convert(
                _read(file),
                name=file.name.removesuffix(_CHAIN_SUFFIX).removesuffix(".xml"),
                handler_of=_handler_of(options["handlers"]),
                load_job=lambda job: _load_job(file, job),
            )
            if options["dry_run"]:
                self.stdout.write(json.dumps(found.definition, indent=2, ensure_ascii=False))
            self._list_notes(found)
            done = _write(group, found, options["dry_run"])
        except InvalidRequest as error:
            raise CommandError("\n".join(f"{each.field}: {each.message}" for each in error.problems)) from None
        except TimersError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Dry run, nothing was written. {done}" if options["dry_run"] else done)

    def _list_notes(self, found: Converted) -> None:
        if found.notes:
            self.stdout.write(self.style.WARNING(f"{plural(len(found.notes), 'thing')} to look at:"))
        for note in found.notes:
            self.stdout.write(f"  {note}")
        for job, handler in sorted(found.handlers.items()):
            self.stdout.write(f"job {job}: handler {handler}")


@transaction.atomic()
def _write(group: str, found: Converted, is_dry_run: bool) -> str:
    """Create the chain or a new version of it. Return what was done. A dry run does the same and rolls it back."""
    ensure_group(group, actor=ACTOR)
    before = Chain.objects.filter(group__name=group, name=found.name).first()
    if before is None:
        create_chain(group, found.name, found.definition, actor=ACTOR)
        for step, state in found.step_states.items():
            _SET[state](group, found.name, step, reason="as in JobScheduler", actor=ACTOR)
        words = [f"created with {plural(len(found.definition['steps']), 'step')}"]
        words += [f"step {step} is {state}" for step, state in found.step_states.items()]
    else:
        chain = update_chain(group, found.name, found.definition, actor=ACTOR)
        words = ["unchanged" if chain.newest == before.newest else f"version {chain.newest} created"]
        if found.step_states:
            words.append("steps that are stopped or skipped are left as they are")
    if is_dry_run:
        transaction.set_rollback(True)
    return f"{group}/{found.name}: {'; '.join(words)}."


def _read(file: Path) -> Source:
    try:
        return Source(file.name, file.read_bytes())
    except OSError as error:
        raise InvalidRequest("file", f"cannot be read: {error.strerror or error} - {file}") from None


def _load_job(chain: Path, job: str) -> Source | None:
    """Return the file of a job next to the chain; a job of another folder is not searched for."""
    folder, _, name = job.rpartition("/")
    is_here = folder in ("", ".") or (
        folder.startswith("/") and folder.rpartition("/")[2] == chain.resolve().parent.name
    )
    file = chain.parent / f"{name}{_JOB_SUFFIX}"
    return _read(file) if is_here and file.is_file() else None


def _handler_of(given: str) -> HandlerOf:
    if not given.endswith(_MAPS):
        return lambda job: handler_by_path(job, given)
    file = Path(given)
    try:
        document = read_yaml(file.read_text("utf-8-sig"), file.name)
    except OSError as error:
        raise InvalidRequest("handlers", f"cannot be read: {error.strerror or error} - {file}") from None
    except UnicodeDecodeError:
        raise InvalidRequest("handlers", f"is not text in UTF-8 - {file.name}") from None
    names = document.value
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise document.error("", "must be a mapping of jobs to handlers, such as {fetch: orders.fetch}")

    def handler_of(job: str) -> str:
        for key in (job, job.removeprefix("/"), job.rpartition("/")[2]):
            if key in names:
                return str(names[key])
        raise InvalidRequest("job", f"has no handler in {file.name}. Add it there", given=job)

    return handler_of
