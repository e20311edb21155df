"""Damaged files: whatever is cut out, doubled or exchanged, there is a definition that can be run, or a clear error."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from timers import actions
from timers.domain.chains import parse_chain
from timers.domain.chains.jobscheduler import Source, convert
from timers.domain.chains.jobscheduler.steps import handler_by_path
from timers.exceptions import InvalidRequest

SAMPLES = sorted(Path(__file__).with_name("samples").glob("*.job_chain.xml"))
JOB = Path(__file__).with_name("samples") / "fetch.job.xml"


def damaged(text: str, draw: random.Random) -> str:
    """The text with an element, an attribute or a value cut out, doubled, or put in the place of another."""
    for _ in range(draw.randint(1, 3)):
        found = list(re.finditer(draw.choice([r"<[^!?][^>]*/>", r' \w+="[^"]*"', r'"[^"]*"', r"\w+"]), text))
        if not found:
            return text
        one, other = draw.choice(found), draw.choice(found)
        new = draw.choice(["", one[0] * 2, other[0], f"{one[0]}\n{other[0]}"])
        text = text[: one.start()] + new + text[one.end() :]
    return text


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.name.partition(".")[0])
def test_damaged_file_gives_a_definition_or_a_clear_error(file: Path) -> None:
    draw = random.Random(file.name)
    converted = 0
    for _ in range(300):
        texts = [file.read_text("latin-1"), JOB.read_text("latin-1")]
        which = draw.randrange(2)
        texts[which] = damaged(texts[which], draw)
        chain, job = (
            Source(name, text.encode("latin-1")) for name, text in zip((file.name, JOB.name), texts, strict=True)
        )
        try:
            found = convert(chain, name="x", handler_of=handler_by_path, load_job=lambda _, job=job: job)
        except InvalidRequest as error:
            assert all(re.search(r" - \S+\.xml, line \d+$", problem.message) for problem in error.problems)
            continue
        converted += 1
        parse_chain(found.definition, check_action=actions.parse)
    assert converted > 10
