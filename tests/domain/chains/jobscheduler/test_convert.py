"""Job chains of JobScheduler become definitions: each field where it belongs, the rest listed with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from timers import actions
from timers.domain.chains import parse_chain
from timers.domain.chains.jobscheduler import Converted, Source, convert
from timers.domain.chains.jobscheduler.steps import handler_by_path

SAMPLES = Path(__file__).with_name("samples")
NODE = '<job_chain_node state="a" job="a" next_state="end" error_state="error" {}/>'
ENDS = '<job_chain_node state="end"/><job_chain_node state="error"/>'


def sample(name: str) -> Converted:
    def load(job: str) -> Source | None:
        file = SAMPLES / f"{job.rpartition('/')[2]}.job.xml"
        return Source(file.name, file.read_bytes()) if file.exists() else None

    file = SAMPLES / f"{name}.job_chain.xml"
    return convert(Source(file.name, file.read_bytes()), name=name, handler_of=handler_by_path, load_job=load)


def converted(nodes: str, *, job: str | None = None, attributes: str = "") -> Converted:
    text = f"<job_chain {attributes}>{nodes}</job_chain>"
    load = Source("a.job.xml", job.encode()) if job else None
    return convert(
        Source("a.job_chain.xml", text.encode()), name="a", handler_of=handler_by_path, load_job=lambda _: load
    )


def listed(found: Converted) -> list[str]:
    return [str(note) for note in found.notes]


@pytest.mark.parametrize("name", ["import_orders", "by_return_code", "nested", "without_ends"])
def test_every_sample_becomes_a_definition_that_can_be_run(name: str) -> None:
    found = sample(name)
    chain = parse_chain(found.definition, check_action=actions.parse)
    assert list(chain.steps) == list(found.definition["steps"])


def test_nodes_become_steps_with_their_error_ways() -> None:
    steps = sample("import_orders").definition["steps"]
    assert list(steps) == ["fetch", "validate", "book", "notify", "success", "error"]
    assert (steps["fetch"]["on_error"], steps["fetch"]["on_exhausted"]) == ("retry", {"goto": "error"})
    assert steps["validate"] == {
        "kind": "action", "action": {"handler": "orders.validate"}, "next": "book", "on_error": "suspend",
    }  # fmt: skip
    assert (steps["book"]["delay"], steps["book"]["on_error"]) == (5, {"goto": "error"})
    assert steps["success"] == {"kind": "end"}
    assert steps["error"] == {"kind": "end", "outcome": "failed", "reason": "error state"}


def test_job_next_to_the_chain_gives_setbacks_timeout_tasks_and_locks() -> None:
    found = sample("import_orders")
    step = found.definition["steps"]["fetch"]
    assert step["retry"] == {"delays": [60, 60, 3600, 3600, 3600], "max_retries": 5}
    assert (step["timeout"], step["max_orders"], step["locks"]) == (600, 3, ["spool"])
    assert step["description"] == "Fetch the file"
    assert found.definition["locks"] == {"spool": 1}


def test_what_has_no_counterpart_is_listed_with_file_and_line_and_no_values_of_params() -> None:
    lines = listed(sample("import_orders"))
    assert lines[0].startswith("import_orders.job_chain.xml, line 2: job_chain@max_orders: 5 has no counterpart")
    assert lines[1].startswith("import_orders.job_chain.xml, line 3: file_order_source[/var/spool/orders]: ")
    subjects = [line.split(": ")[1] for line in lines if line.startswith("fetch.job.xml")]
    assert subjects == [
        "job@process_class", "job/lock.use", "job/params", "job/script", "job/delay_after_error",
    ]  # fmt: skip
    assert "not-to-be-shown" not in "".join(lines)


def test_actions_of_nodes_become_states_of_steps() -> None:
    assert sample("import_orders").step_states == {"notify": "skipped"}
    assert sample("without_ends").step_states == {"100": "stopped"}


def test_return_codes_become_a_choice() -> None:
    steps = sample("by_return_code").definition["steps"]
    assert steps["1"]["results"] == {"1-return_code": "/return_code"}
    assert steps["1-return_code"] == {
        "kind": "choice",
        "choices": [
            {"when": {"1-return_code": {"exists": False}}, "next": "2"},
            {"when": {"1-return_code": {"in": [3, 4]}}, "next": "repair"},
            {"when": {"1-return_code": {"at_least": 10, "at_most": 19}}, "next": "success"},
            {"when": {"1-return_code": 0}, "next": "2"},
        ],
        "default": "!broken",
    }


def test_end_of_good_and_failed_orders_is_divided() -> None:
    found = sample("by_return_code")
    assert found.definition["steps"]["2"]["on_error"] == {"goto": "success-failed"}
    assert found.definition["steps"]["success"] == {"kind": "end"}
    assert any("job_chain_node[success]: is reached with and without an error" in line for line in listed(found))


def test_nested_chain_becomes_a_step_and_the_name_of_the_file_gives_way() -> None:
    found = sample("nested")
    assert found.name == "day_end"
    assert found.definition["steps"]["A"] == {
        "kind": "chain", "chain": "collect", "next": "B", "on_error": {"goto": "failed"},
    }  # fmt: skip
    subjects = [line.split(": ")[1] for line in listed(found)]
    assert subjects[:2] == ["job_chain@distributed", "job_chain@orders_recoverable"]


def test_node_without_next_state_leads_to_the_one_that_follows() -> None:
    steps = sample("without_ends").definition["steps"]
    assert (steps["100"]["next"], steps["200"]["next"], steps["end"]) == ("200", "end", {"kind": "end"})


def test_missing_error_state_fails_the_order_and_is_listed() -> None:
    found = sample("without_ends")
    assert found.definition["steps"]["100"]["on_error"] == "fail"
    assert any("line 2: job_chain_node[100]@error_state: is missing" in line for line in listed(found))


def test_unknown_attributes_and_elements_are_listed() -> None:
    nodes = NODE.format('colour="red"') + ENDS + "<shape/>"
    lines = listed(converted(nodes, attributes='size="3"'))
    assert [line.split(": ", 1)[1] for line in lines] == [
        'job_chain@size: "3" is not a known attribute and is ignored.',
        "job_chain/shape: is not a known element and is ignored.",
        'job_chain_node[a]@colour: "red" is not a known attribute and is ignored.',
    ]


def test_node_that_nothing_reaches_is_left_out_and_listed() -> None:
    found = converted(NODE.format("") + ENDS + '<job_chain_node state="lost" job="b" next_state="end"/>')
    assert "lost" not in found.definition["steps"]
    assert found.handlers == {"a": "a"}
    assert listed(found) == ["a.job_chain.xml, line 1: job_chain_node[lost]: is left out: nothing leads there."]


def test_orders_begin_where_the_source_of_files_leads() -> None:
    source = '<file_order_source directory="/in" next_state="b"/>'
    nodes = '<job_chain_node state="a" job="a"/><job_chain_node state="b" job="b" next_state="end" error_state="end"/>'
    found = converted(source + nodes + ENDS)
    assert found.definition["start"] == "b"
    assert "a" not in found.definition["steps"]


def test_two_jobs_of_one_handler_are_listed() -> None:
    node = '<job_chain_node state="{}" job="{}" error_state="error"/>'
    nodes = node.format("a", "/x/a") + node.format("b", "x/a")
    (line,) = listed(converted(nodes + ENDS))
    assert line.endswith('job_chain_node[b]@job: calls "x.a" as the job /x/a does. Map one of them to another handler.')


def test_cycle_with_an_exit_is_kept() -> None:
    codes = '<on_return_codes><on_return_code return_code="1"><to_state state="a"/></on_return_code></on_return_codes>'
    node = f'<job_chain_node state="a" job="a" next_state="end" error_state="error">{codes}</job_chain_node>'
    choices = converted(node + ENDS).definition["steps"]["a-return_code"]["choices"]
    assert {"when": {"a-return_code": 1}, "next": "a"} in choices


@pytest.mark.parametrize(
    ("rules", "retry"),
    [
        ('<delay_order_after_setback setback_count="1" is_maximum="yes" delay="2.5"/>', ([2.5], 1)),
        ('<delay_order_after_setback setback_count="2" delay="9"/>', ([0, 9], 1000)),
        (
            '<delay_order_after_setback setback_count="1" delay="5"/>'
            '<delay_order_after_setback setback_count="4" is_maximum="yes"/>',
            ([5, 5, 5, 5], 4),
        ),
        ('<delay_order_after_setback setback_count="2000" is_maximum="yes" delay="1"/>', ([0] * 100, 1000)),
    ],
)
def test_setbacks_become_retries(rules: str, retry: Any) -> None:
    job = f'<job order="yes">{rules}</job>'
    step = converted(NODE.format('on_error="setback"') + ENDS, job=job).definition["steps"]["a"]
    assert (step["retry"]["delays"], step["retry"]["max_retries"]) == retry


def test_setback_without_the_file_of_the_job_takes_the_default_policy_and_is_listed() -> None:
    found = converted(NODE.format('on_error="setback"') + ENDS)
    assert "retry" not in found.definition["steps"]["a"]
    assert "job_chain_node[a]@on_error" in listed(found)[0]


@pytest.mark.parametrize(
    ("job", "prefix", "handler"),
    [
        ("/orders/fetch", "", "orders.fetch"), ("fetch", "", "fetch"), ("../x/fetch it", "", "x.fetch_it"),
        ("/orders/fetch", "acme", "acme.fetch"), ("/orders/fetch", "acme.", "acme.fetch"), ("-x", "", "_x"),
    ],
)  # fmt: skip
def test_handler_is_named_after_the_path_of_the_job(job: str, prefix: str, handler: str) -> None:
    assert handler_by_path(job, prefix) == handler
