"""Routes that act on one timer: pause, resume, fire, backfill, skip the next fire, and preview."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Body as InBody
from ninja import Router
from pydantic import BaseModel, Field

from timers.api.authentication import caller
from timers.api.conditions import etag
from timers.api.fields import Body, EmptyBody, Instant, Name, Number, Reason, Seconds
from timers.api.route import Answer, route
from timers.api.timer_answer import TimerAnswer, answer_now
from timers.api.timer_body import PreviewRequest
from timers.api.timers import TIMER
from timers.domain.policies import MAX_SECONDS
from timers.exceptions import InvalidRequest
from timers.models import TimerGroup
from timers.schedules import Preview
from timers.scheduling import (
    backfill_timer,
    cancel_backfill,
    fire_timer,
    get_timer,
    pause_timer,
    preview_timer,
    resume_timer,
    skip_next_fire,
)

router = Router(tags=["timers"])


class PauseBody(Body):
    """Duration and reason of a pause."""

    until: Instant | None = Field(default=None, description="Resumed by itself at this instant.")
    reason: Reason = ""


Overlap = Annotated[
    Literal["skip", "queue", "allow", "replace"] | None,
    Field(
        description="The overlap policy of this run, while an execution of the timer has not ended; null: the timer's."
    ),
]


class FireBody(Body):
    """A run in addition to the schedule."""

    payload: Any = Field(default=None, description="Another payload for this run; left out: the timer's.")
    delay: Annotated[float, Seconds(0, MAX_SECONDS)] = 0
    overlap: Overlap = None


class BackfillBody(Body):
    """Time range and pace of a backfill."""

    start: Instant
    end: Instant = Field(description="Before this instant.")
    overlap: Literal["queue", "allow"] = "queue"
    per_second: Annotated[Number, Field(gt=0)] | None = None
    payload: Any = None


class ExecutionStarted(BaseModel):
    """The started execution."""

    execution: str


class BackfillStarted(BaseModel):
    """The executions of a started backfill."""

    executions: int
    first: datetime
    last: datetime


class BackfillCancelled(BaseModel):
    """Executions of backfills that had not begun and were cancelled."""

    cancelled: int


class SkippedAnswer(BaseModel):
    """The skipped instant."""

    skipped: datetime
    timer: TimerAnswer


class InstantAnswer(BaseModel):
    """An instant of a schedule."""

    at: datetime = Field(description="UTC, without the timer's share of the jitter.")
    local: str = Field(description="As the clock of the timer's zone shows it.")
    runs: bool = Field(description="False: it is skipped, and the note says why.")
    note: str


class WarningAnswer(BaseModel):
    """A property of a schedule that may be surprising."""

    code: str
    message: str


class PreviewAnswer(BaseModel):
    """The next fires of a schedule."""

    words: str
    fires: list[InstantAnswer]
    warnings: list[WarningAnswer]

    @classmethod
    def of(cls, preview: Preview) -> PreviewAnswer:
        """Build the response from a preview."""
        return cls(
            words=preview.words,
            fires=[
                InstantAnswer(at=each.at, local=each.wall, runs=each.runs, note=each.note) for each in preview.instants
            ],
            warnings=[WarningAnswer(code=each.code, message=each.text) for each in preview.warnings],
        )


@route(router, "POST", f"{TIMER}/pause", scope="operate", answer=TimerAnswer)
def pause(request: HttpRequest, group: str, name: Name, body: PauseBody = PauseBody()) -> Answer:
    """Pause a timer: it does not fire until it is resumed, manually or automatically."""
    timer = pause_timer(group, name, until=body.until, reason=body.reason, actor=caller(request).actor)
    return Answer(answer_now(timer, in_flight=list(timer.in_flight)), headers=etag(timer.version))


@route(router, "POST", f"{TIMER}/resume", scope="operate", answer=TimerAnswer)
def resume(request: HttpRequest, group: str, name: Name, body: EmptyBody = EmptyBody()) -> Answer:
    """Resume a timer. Fires missed in the meantime follow the misfire policy."""
    timer = resume_timer(group, name, actor=caller(request).actor)
    return Answer(answer_now(timer), headers=etag(timer.version))


@route(router, "POST", f"{TIMER}/fire", scope="operate", answer=ExecutionStarted, status=202)
def fire(request: HttpRequest, group: str, name: Name, body: FireBody = FireBody()) -> ExecutionStarted:
    """Run a timer once, in addition to its schedule.

    409 if the overlap policy is skip and an execution has not ended.
    """
    own = {"payload": body.payload} if "payload" in body.model_fields_set else {}
    actor = caller(request).actor
    return ExecutionStarted(
        execution=fire_timer(group, name, delay=body.delay, overlap=body.overlap, actor=actor, **own)
    )


@route(router, "POST", f"{TIMER}/backfill", scope="operate", answer=BackfillStarted, status=202)
def backfill(request: HttpRequest, group: str, name: Name, body: BackfillBody) -> BackfillStarted:
    """Run the occurrences that the schedule had in a past time range."""
    own = body.model_dump(exclude_unset=True)
    done = backfill_timer(group, name, actor=caller(request).actor, **own)
    return BackfillStarted(executions=done.executions, first=done.first, last=done.last)


@route(router, "DELETE", f"{TIMER}/backfill", scope="operate", answer=BackfillCancelled)
def stop_backfill(request: HttpRequest, group: str, name: Name) -> BackfillCancelled:
    """Cancel the waiting executions of a timer's backfills."""
    return BackfillCancelled(cancelled=cancel_backfill(group, name, actor=caller(request).actor))


@route(router, "POST", f"{TIMER}/skip-next", scope="operate", answer=SkippedAnswer)
def skip_next(request: HttpRequest, group: str, name: Name, body: EmptyBody = EmptyBody()) -> SkippedAnswer:
    """Skip the next fire of a timer."""
    left_out = skip_next_fire(group, name, actor=caller(request).actor)
    timer = answer_now(get_timer(group, name), in_flight=list(left_out.in_flight))
    return SkippedAnswer.model_construct(skipped=left_out[0], timer=timer)


@route(router, "GET", f"{TIMER}/next-fires", scope="read", answer=PreviewAnswer)
def next_fires(
    request: HttpRequest, group: str, name: Name, n: Annotated[int, Field(ge=1, le=1000)] = 10
) -> PreviewAnswer:
    """List the next fires of a timer, with a description of the schedule and warnings."""
    return PreviewAnswer.of(preview_timer(group, name, n))


@route(router, "POST", "/schedules/preview", scope="read", answer=PreviewAnswer, repeatable=False)
def preview(request: HttpRequest, body: InBody[PreviewRequest]) -> PreviewAnswer:
    """Preview a timer that is not scheduled (yet): its next fires, a description of the schedule and warnings."""
    group, name, n = body.pop("group", None), body.pop("name", "preview"), body.pop("n", 10)
    if not isinstance(group, str) or not caller(request).sees(group) or not TimerGroup.objects.filter(name=group):
        raise InvalidRequest("group", "must be one of the groups that you see")
    if "kind" not in body:
        raise InvalidRequest("kind", "is needed")
    return PreviewAnswer.of(preview_timer(group, name, n, **body))
