"""Files of declarations, right and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from timers.declared_files.reader import read_declarations
from timers.exceptions import InvalidRequest

GOOD = """\
groups:
  reports:
    retry: {max_retries: 3}
  plain:
timers:
  - group: reports
    name: nightly
    handler: reports.build
    expression: "30 2 * * *"
    time_zone: Europe/Berlin
    overrides:
      retry: {max_retries: 1}
  - {group: reports, name: often, period: PT5M, payload: {full: true}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "timers.yaml"


def refused(file: Path) -> dict[str, str]:
    """The problems of the file by field, of its form or of what its timers say."""
    with pytest.raises(InvalidRequest) as error:
        read_declarations(file).specs()
    return {problem.field: problem.message for problem in error.value.problems}


def test_groups_and_timers_are_read_with_the_keywords_of_the_python_api(file: Path) -> None:
    file.write_text(GOOD)
    declared = read_declarations(file)
    assert declared.source == "file:timers.yaml"
    assert [dict(group.keywords) for group in declared.groups] == [
        {"name": "reports", "retry": {"max_retries": 3}}, {"name": "plain"},
    ]  # fmt: skip
    assert {key: spec.schedule.kind for key, (_, spec) in declared.specs().items()} == {
        ("reports", "nightly"): "cron", ("reports", "often"): "fixed_rate",
    }  # fmt: skip


CHAIN = """\
groups:
  orders:
    priority: 3
    chains:
      import:
        deadline: PT1H
        steps:
          fetch:
            action: {handler: orders.fetch}
            retry: [10, 60]
            next: large
          large:
            kind: choice
            choices:
              - when: {total: {at_least: 1000}}
                next: done
            default: done
          done: {kind: end}
timers: []
"""


def refused_chains(file: Path) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as error:
        read_declarations(file).definitions()
    return {problem.field: problem.message for problem in error.value.problems}


def test_chains_of_a_group_are_read_and_are_no_field_of_it(file: Path) -> None:
    file.write_text(CHAIN)
    declared = read_declarations(file)
    assert [dict(group.keywords) for group in declared.groups] == [{"name": "orders", "priority": 3}]
    ((key, (_, chain)),) = declared.definitions().items()
    assert (key, chain.start, chain.deadline) == (("orders", "import"), "fetch", 3600)


@pytest.mark.parametrize(
    ("before", "after", "field", "words"),
    [
        ("next: large", "next: larg", "groups.orders.chains.import.steps.fetch.next",
         'Did you mean "large"? - timers.yaml, line 11'),
        ("at_least: 1000", "above: 1000", "groups.orders.chains.import.steps.large.choices.0.when.total.above",
         "- timers.yaml, line 14"),
        ("deadline: PT1H", "dedline: PT1H", "groups.orders.chains.import.dedline", "did you mean deadline"),
        ("{kind: end}", "{kind: wait, duration: 1, next: fetch}", "groups.orders.chains.import.steps",
         "no way leads to an end"),
        ("      import:", "      '':", "groups.orders.chains..name", "must have 1 to 200 characters"),
        ("      import:", "      ..:", "groups.orders.chains....name", 'must not be "." or ".."'),
    ],
)  # fmt: skip
def test_mistake_of_a_chain_is_told_with_its_path_and_line(
    file: Path, before: str, after: str, field: str, words: str
) -> None:
    assert before in CHAIN
    file.write_text(CHAIN.replace(before, after, 1))
    assert words in refused_chains(file)[field]


@pytest.mark.parametrize(
    ("chains", "field", "words"),
    [
        ("[]", None, ""), ("", None, ""), ("{}", None, ""),
        ("5", "groups.orders.chains", "must be a mapping of names to definitions (given: 5) - timers.yaml, line 3"),
        ("[x]", "groups.orders.chains", "must be a mapping of names to definitions"),
        ("{import: 5}", "groups.orders.chains.import", "must be a mapping of fields"),
        ("{import: }", "groups.orders.chains.import", "must be a mapping of fields"),
    ],
)  # fmt: skip
def test_chains_that_are_no_mapping_are_refused(file: Path, chains: str, field: str | None, words: str) -> None:
    file.write_text(f"groups:\n  orders:\n    chains: {chains}\ntimers: []\n")
    if field is None:
        assert read_declarations(file).definitions() == {}
    else:
        assert words in refused(file)[field]


def test_the_source_is_named_by_the_file_or_in_it(file: Path) -> None:
    file.write_text("name: billing\ntimers: []\n")
    assert read_declarations(file).source == "file:billing"


@pytest.mark.parametrize(
    ("before", "after", "field", "words"),
    [
        ("30 2 * * *", "61 2 * * *", "timers[0].expression", "- timers.yaml, line 9"),
        ("Europe/Berlin", "Europe/Berln", "timers[0].time_zone", "did you mean Europe/Berlin"),
        ("PT5M", "five", "timers[1].period", "ISO 8601 duration such as PT1M30S"),
        ("PT5M", "1_000", "timers[1].period", "- timers.yaml, line 13"),
        ("max_retries: 1", "max_retries: many", "timers[0].overrides.retry.max_retries", "- timers.yaml, line 12"),
        ("payload: {full: true}", "colour: red", "timers[1].colour", "is not known for fixed_rate; known are"),
        ("period: PT5M", "payload: 1", "timers[1].payload", "comes twice"),
        ("period: PT5M, ", "", "timers[1].kind", "must be one of once, fixed_rate"),
        ("period: PT5M", "kind: [cron]", "timers[1].kind", "must be one of"),
        ("name: often", "name: 5", "timers[1].name", "must be text"),
        ("name: often", "name: nightly", "timers[1].name", "comes twice in group reports (first: timers.yaml, line 6)"),
        ("group: reports, name", "name", "timers[1].group", "- timers.yaml, line 13"),
        ("  - {group", "  - x\n  - {group", "timers[1]", "of fields (given: 'x') - timers.yaml, line 13"),
        ("  plain:", "  plain: 5", "groups.plain", "must be a mapping of fields (given: 5) - timers.yaml, line 4"),
        ("  plain:", "  plain: {name: x}", "groups.plain.name", "is not known: the key is the name"),
        ("timers:", "timer:", "timer", "is not known; did you mean timers? - timers.yaml, line 5"),
        ("timers:", "name: ''\ntimers:", "name", "must have 1 to 200 characters"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_path_its_line_and_what_is_allowed(
    file: Path, before: str, after: str, field: str, words: str
) -> None:
    assert before in GOOD
    file.write_text(GOOD.replace(before, after, 1))
    assert words in refused(file)[field]


@pytest.mark.parametrize("text", ["", "groups: {}\n", "timers:\n", "timers: {a: 1}\n"])
def test_a_file_that_says_nothing_of_timers_is_refused_for_it_would_pause_them_all(file: Path, text: str) -> None:
    file.write_text(text)
    (message,) = refused(file).values()
    assert "must be a" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"timers: \xff\n", "is not text in UTF-8 - timers.yaml, line 1"),
        (b"#" * (4 * 1024 * 1024 + 1), "is larger than 4 MB"),
        (b"[]", "must be a mapping"),
        (b"\x00", "is not YAML"),
    ],
)
def test_a_file_that_is_no_such_file_is_refused(file: Path, content: bytes, words: str) -> None:
    file.write_bytes(content)
    assert words in refused(file)["file"]


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    assert str(file) in refused(file)["file"]
    assert "cannot be read" in refused(file.parent)["file"]
