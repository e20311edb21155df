"""Completions of timerctl, for the shells that are there."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from timers_client.ctl.arguments import parser
from timers_client.ctl.completion import completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_know_every_word(shell: str) -> None:
    script = completion(shell, parser())
    words = ("schedule", "fixed-rate", "consume", "by-fault", "expression", "subscriptions", "no-until-committed")
    assert all(word in script for word in words)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("timerctl schedule fi", ["fixed-rate", "fixed-delay"]),
        ("timerctl list g --state pa", ["paused"]),
        ("timerctl operations pa", ["pause", "pace"]),
        ("timerctl operations list --state ru", ["running"]),
        ("timerctl subscriptions create g s --m", ["--mode"]),
        ("timerctl update g a --exp", ["--expression"]),
        ("timerctl groups create --act", ["--action"]),
    ],
)
def test_the_completion_of_bash_completes_words_options_and_their_values(typed: str, offered: list[str]) -> None:
    last = len(typed.split()) - 1
    asked = f'COMP_WORDS=({typed}); COMP_CWORD={last}; _timerctl; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "-c", completion("bash", parser()) + asked], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.stdout.split() == offered, done.stderr
