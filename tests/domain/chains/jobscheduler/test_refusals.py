"""Files that cannot be converted are refused with the file, the line and what to do; nothing hangs or is fetched."""

from __future__ import annotations

import pytest

from timers.domain.chains.jobscheduler import Source, convert
from timers.domain.chains.jobscheduler.steps import handler_by_path
from timers.exceptions import InvalidRequest

LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
END = '<job_chain_node state="end"/>'


def refused(content: str | bytes, job: str = "") -> dict[str, str]:
    data = content.encode() if isinstance(content, str) else content
    load = Source("a.job.xml", job.encode()) if job else None
    with pytest.raises(InvalidRequest) as error:
        convert(Source("x.job_chain.xml", data), name="x", handler_of=handler_by_path, load_job=lambda _: load)
    return {problem.field: problem.message for problem in error.value.problems}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not XML: no element found. Correct the file. - x.job_chain.xml, line 1"),
        ("steps: {}", "is not XML"),
        ("<job_chain>\n<job_chain_node", "is not XML: unclosed token. Correct the file. - x.job_chain.xml, line 2"),
        ('<job_chain a="1" a="2"/>', "is not XML: duplicate attribute"),
        ("<job_chain>&unknown;</job_chain>", "is not XML: undefined entity"),
        ('<?xml version="1.0" encoding="nonsense"?><job_chain/>', "unknown encoding"),
        (b"\xff\xfe\x00", "is not XML"),
        ("<!DOCTYPE job_chain><job_chain/>", "has a document type (<!DOCTYPE>)"),
        (f'<!DOCTYPE x [<!ENTITY a0 "ha">{LAUGHS}]><x>&a9;</x>', "has a document type (<!DOCTYPE>)"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', "has a document type (<!DOCTYPE>)"),
        ("<a>" * 50, "is nested too deeply"),
        (b"<a>" + b" " * (4 * 1024 * 1024), "is larger than 4 MB"),
        ("<a>" + "<b/>" * 100_001 + "</a>", "has too many elements"),
    ],
)  # fmt: skip
def test_what_is_no_plain_xml_is_refused(content: str | bytes, words: str) -> None:
    assert words in refused(content)["file"]


@pytest.mark.parametrize(
    ("nodes", "field", "words"),
    [
        ("", "job_chain", "has no nodes"),
        ('<job_chain_node job="a"/>', "job_chain_node@state", "is missing"),
        (END + "\n" + END, "job_chain_node@state", "is the state of two nodes (first on line 1)"),
        ('<job_chain_node state="a" job="a" next_state="ende"/>' + END, "job_chain_node[a]@next_state",
         'Did you mean "end"?'),
        ('<job_chain_node state="a" job="a" error_state="broken"/>' + END, "job_chain_node[a]@error_state",
         'Add <job_chain_node state="broken"/>. - x.job_chain.xml, line 1'),
        ('<job_chain_node state="a" job="a" on_error="stop"/>' + END, "job_chain_node[a]@on_error",
         "must be suspend or setback"),
        ('<job_chain_node state="a" job="a" action="run"/>' + END, "job_chain_node[a]@action", "must be one of"),
        ('<job_chain_node state="a" job="a" delay="soon"/>' + END, "job_chain_node[a]@delay", "HH:MM:SS"),
        ('<job_chain_node.job_chain state="a"/>' + END, "job_chain_node.job_chain[a]@job_chain", "is missing"),
        ('<file_order_source directory="/in" next_state="x"/>' + END, "file_order_source[/in]@next_state",
         "is no state of this chain"),
        ('<job_chain_node state="a" job="a" next_state="b"/>\n<job_chain_node state="b" job="b" next_state="a"/>',
         "steps", "no way leads to an end"),
        ('<job_chain_node state="a" job="a" next_state="b" error_state="end"/>\n'
         '<job_chain_node state="b" job="b" next_state="a"/>' + END, "steps.a",
         "is in a cycle with no exit: a → b → a"),
        (f'<job_chain_node state="{"x" * 201}" job="a"/>' + END, f"steps.{'x' * 201}", "1 to 200 characters"),
        ('<job_chain_node state="a" job="a" delay="99999:00"/>' + END, "steps.a.delay", "- x.job_chain.xml, line 1"),
    ],
)  # fmt: skip
def test_chain_that_cannot_be_is_refused_with_its_place(nodes: str, field: str, words: str) -> None:
    assert words in refused(f"<job_chain>{nodes}</job_chain>")[field]


@pytest.mark.parametrize(
    ("code", "field", "words"),
    [
        ('<on_return_code return_code="x"/>', "@return_code", "must be return codes such as 0, 1..5"),
        ('<on_return_code return_code="5..1"/>', "@return_code", "must be return codes"),
        ("<on_return_code/>", "@return_code", "is missing"),
        ('<on_return_code return_code="1"><to_state/></on_return_code>', "/to_state", "one element with one state"),
        ('<on_return_code return_code="1"><to_state state="x"/></on_return_code>', "/to_state@state", "is no state"),
    ],
)
def test_return_codes_that_cannot_be_read_are_refused(code: str, field: str, words: str) -> None:
    node = f'<job_chain_node state="a" job="a"><on_return_codes>{code}</on_return_codes></job_chain_node>'
    assert words in refused(f"<job_chain>{node}{END}</job_chain>")[f"job_chain_node[a]/on_return_code{field}"]


@pytest.mark.parametrize(
    ("job", "field", "words"),
    [
        ("<task/>", "task", "must be <job>"),
        ("<job", "file", "- a.job.xml, line 1"),
        ("<!DOCTYPE job><job/>", "file", "has a document type"),
        ('<job timeout="long"/>', "job@timeout", "must be seconds, HH:MM or HH:MM:SS (given: 'long') - a.job.xml"),
        ('<job tasks="many"/>', "job@tasks", "must be a whole number"),
        ("<job><lock.use/></job>", "lock.use@lock", "is missing"),
        ("<job><delay_order_after_setback/></job>", "delay_order_after_setback@setback_count", "at least 1"),
        ('<job><delay_order_after_setback setback_count="1"/><delay_order_after_setback setback_count="1"/></job>',
         "delay_order_after_setback@setback_count", "is given twice"),
        ('<job><delay_order_after_setback setback_count="1" is_maximum="perhaps"/></job>',
         "delay_order_after_setback@is_maximum", "must be yes or no"),
    ],
)  # fmt: skip
def test_job_that_cannot_be_read_is_refused_with_its_place(job: str, field: str, words: str) -> None:
    chain = f'<job_chain><job_chain_node state="a" job="a" on_error="setback"/>{END}</job_chain>'
    assert words in refused(chain, job)[field]


def test_all_mistakes_are_named_at_once() -> None:
    nodes = (
        '<job_chain_node state="a" job="a" next_state="x" on_error="no"/><job_chain_node state="b" job="b" delay="-"/>'
    )
    assert len(refused(f'<job_chain max_orders="few">{nodes}</job_chain>')) == 3


def test_root_that_is_no_job_chain_is_refused() -> None:
    assert "must be <job_chain>" in refused("<spooler/>")["spooler"]
