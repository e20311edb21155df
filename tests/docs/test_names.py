"""What the documents point to exists: files, headings, commands and their options, make targets, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class

from timers.conf import table

ROOT: Path = settings.BASE_DIR
DOCUMENTS = ["README.md", "CHANGELOG.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))]
VERB = re.compile(r"(?:timerbench|timersecret) ([a-z]+)")

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def text(document: str) -> str:
    return (ROOT / document).read_text()


def anchors(document: Path) -> set[str]:
    """The anchors that a forge makes of headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: str) -> Iterator[tuple[Path, str]]:
    """The files and anchors that a document's relative links lead to."""
    for link in _LINK.findall(_FENCED.sub("", text(document))):
        if not link.startswith(("http://", "https://")):
            path, _, anchor = link.partition("#")
            here = ROOT / document
            yield ((here.parent / path).resolve() if path else here), anchor


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_somewhere(document: str) -> None:
    missing = [str(path) for path, _ in links(document) if not path.exists()]
    assert not missing

    vain = [f"{path.name}#{anchor}" for path, anchor in links(document) if anchor and anchor not in anchors(path)]
    assert not vain


def test_every_page_can_be_reached_from_the_index() -> None:
    reached = {path for path, _ in links("docs/README.md")} | {ROOT / "docs/README.md"}

    assert not [name for name in DOCUMENTS if name.startswith("docs/") and (ROOT / name) not in reached]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_exists(document: str) -> None:
    named = set(re.findall(r"manage\.py ([a-z_]+)", text(document)))

    assert not named - set(get_commands())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_option_of_a_command_exists(document: str) -> None:
    unknown = []
    for command, rest in re.findall(r"manage\.py ([a-z_]+)((?: +[\w.=-]+)*)", text(document)):
        known = _help(command, VERB.search(f"{command}{rest}"))
        unknown += [f"{command} {option}" for option in re.findall(r"--[a-z-]+", rest) if option not in known]
    assert not unknown


def test_every_option_in_the_table_of_a_nodes_options_exists() -> None:
    known = _help("runtimerworker", None)

    named = re.findall(r"`(--[a-z-]+)", text("docs/running.md").partition("## Sizing")[2].partition("## ")[0])
    assert len(named) >= 7
    assert not [option for option in named if option not in known]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_exists(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    named = re.findall(r"(?:`|^ *)make ([a-z-]+)", text(document), re.MULTILINE)
    assert not set(named) - targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_setting_exists(document: str) -> None:
    named = set(re.findall(r"\bTIMERS_[A-Z_]+\b", text(document)))

    assert not named - set(table.BY_NAME)


def _help(command: str, verb: re.Match[str] | None) -> str:
    app = get_commands()[command]
    parser = load_command_class(app if isinstance(app, str) else app.label, command).create_parser("manage.py", command)
    if verb is None:
        return parser.format_help()
    for action in parser._actions:
        if isinstance(action.choices, dict):
            return str(action.choices[verb[1]].format_help())
    raise AssertionError(f"{command} has no verbs")
