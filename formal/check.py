"""Check the models of the protocol with spin: the correct ones must hold, and each broken variant must fail.

Usage: `python formal/check.py`. Needs spin and gcc. Exits with 0 only if every check has the expected result, and every
statement of the correct models is reached in one of the searches.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
MAX_DEPTH: Final = 1_000_000
SECONDS: Final = 120
"""After which one search is given up."""


@dataclass(frozen=True, slots=True)
class Check:
    """One search through the states of a model.

    Args:
        model: File name without suffix.
        variant: What it is, in words.
        macros: As for `spin -D`.
        caught_by: The properties of which one must fail; empty: all must hold.
        liveness: Search for infinite runs (weakly fair) in which the LTL formula fails, instead of assertions.
    """

    model: str
    variant: str
    macros: tuple[str, ...] = ()
    caught_by: tuple[str, ...] = ()
    liveness: bool = False


ENDS: Final = "every_occurrence_ends"
TAKEN: Final = ("what_begins_is_still_held", "node_is_silent_before_rescue")
STUCK: Final = ("order_is_never_stuck",)
STALE: Final = ("stale_finish_has_no_effect", "at_most_one_final_outcome", "each_occurrence_is_in_one_place")

CHECKS: Final = (
    Check("claims", "as built"),
    Check("claims", "as built, with the crash lock", ("CRASH_LOCK",)),
    Check("claims", "as built, two occurrences in a claim", ("OCCURRENCES=2", "TRIES=1", "LOST_ANSWERS=0")),
    Check("claims", "as built, faults end", ("LIVENESS",), liveness=True),
    Check("claims", "no fence", ("NO_FENCE",), STALE),
    Check("claims", "lease by node clock", ("LEASE_BY_NODE_CLOCK",), TAKEN),
    Check("claims", "rescue ignores the lease", ("RESCUE_IGNORES_LEASE",), TAKEN),
    Check("claims", "finish without the claim's lock", ("FINISH_WITHOUT_LOCK",), STALE),
    Check("claims", "verdict ignores later heartbeats", ("VERDICT_IGNORES_BEATS",), TAKEN),
    Check("claims", "sure without a first heartbeat", ("SURE_FROM_REGISTRATION",), TAKEN),
    Check(
        "claims", "crash lock, and silent", ("CRASH_LOCK", "SILENT_WITH_CRASH_LOCK"), ("node_is_silent_before_rescue",)
    ),
    Check("claims", "no second look at dead nodes", ("LIVENESS", "RESCUE_ONCE"), (ENDS,), liveness=True),
    Check("leadership", "as built"),
    Check("leadership", "no epoch check", ("NO_EPOCH_CHECK",), ("old_epoch_fires_nothing",)),
    Check("leadership", "epoch check without lock", ("CHECK_WITHOUT_LOCK",), ("old_epoch_fires_nothing",)),
    Check(
        "leadership",
        "appoint without lock",
        ("APPOINT_WITHOUT_LOCK",),
        ("one_leader_fires_in_an_epoch", "old_epoch_fires_nothing"),
    ),
    Check("chains", "as built, join all, a failure fails"),
    Check("chains", "as built, join all, a failure waits", ("ON_BRANCH_FAILURE_WAIT",)),
    Check("chains", "as built, join any, a failure waits", ("NEEDED=1", "ON_BRANCH_FAILURE_WAIT")),
    Check("chains", "as built, join 2 of 3", ("NEEDED=2", "ON_BRANCH_FAILURE_WAIT")),
    Check(
        "chains", "branches counted without the order's lock", ("ON_BRANCH_FAILURE_WAIT", "COUNT_WITHOUT_LOCK"), STUCK
    ),
    Check("chains", "end of a branch in a transaction of its own", ("END_COMMITTED_FIRST",), STUCK),
    Check("chains", "branches created after the fork", ("SPAWN_LATER",), STUCK),
    Check("chains", "branch locked before its order", ("BRANCH_LOCKED_FIRST",), STUCK),
    Check("chains", "no look at the branch's claim", ("NO_CLAIM_CHECK",), ("a_branch_ends_once", "joins_once")),
    Check("chains", "branches cancelled after the join", ("NEEDED=1", "CANCEL_LATER"), ("no_branch_is_left_behind",)),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found."""

    violated: str = ""
    """The property that failed; empty: none."""
    incomplete: str = ""
    """Why the search says nothing; empty: it was complete, or found a violation."""
    states: int = 0
    seconds: float = 0.0
    unreached: frozenset[int] = frozenset()
    """Lines of the model with a statement that no run reached."""


def parse(output: str) -> Found:
    """Read what the verifier of spin has printed."""
    stored = re.search(r"^\s*(\d+) states, stored", output, re.MULTILINE)
    states = int(stored[1]) if stored else 0
    lines = frozenset(
        int(line) for line, text in re.findall(r'^\t\S+\.pml:(\d+), state \d+, "(.*)"$', output, re.MULTILINE)
        if text != "-end-"
    )  # fmt: skip
    if "acceptance cycle" in output:
        return Found(violated=ENDS, states=states)
    violated = re.search(r"assertion violated (\w+)", output)
    if violated:
        return Found(violated=violated[1], states=states)
    fault = re.search(
        r"^(?:pan: |error: )?.*(?:max search depth too small|out of memory|error: ).*$", output, re.MULTILINE
    )
    errors = re.search(r"errors: (\d+)", output)
    if fault or errors is None or errors[1] != "0" or "Search not completed" in output:
        return Found(incomplete=fault[0].strip() if fault else "search not completed", states=states)
    return Found(states=states, unreached=lines)


def search(check: Check) -> Found:
    """Generate the verifier of a model, compile it and run it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / f"{check.model}.pml", folder)
        options = [f"-D{macro}" for macro in check.macros]
        compiled = ["-DNFAIR=4"] if check.liveness else ["-DSAFETY"]
        # A broken variant fails within few states: to optimize its verifier would take longer than the search.
        compiled.append("-O0" if check.caught_by else "-O2")
        runs = ["-a", "-f"] if check.liveness else []
        for command in (
            ["spin", "-a", *options, f"{check.model}.pml"],
            ["gcc", "-w", *compiled, "-o", "pan", "pan.c"],
        ):
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode or not (Path(folder) / "pan.c").exists():
                return Found(incomplete=f"{command[0]}: {(done.stdout + done.stderr).strip()}")
        try:
            done = subprocess.run(
                ["./pan", f"-m{MAX_DEPTH}", "-E", *runs],
                cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Found(incomplete=f"not done after {SECONDS} s")
    found = parse(done.stdout + done.stderr)
    return Found(found.violated, found.incomplete, found.states, time.monotonic() - began, found.unreached)


def problem(check: Check, found: Found) -> str:
    """Say why a result is not the expected one; empty: it is."""
    if found.incomplete:
        return found.incomplete
    if not check.caught_by:
        return f"{found.violated} fails" if found.violated else ""
    if not found.violated:
        return "no property fails: the model does not notice this fault"
    return "" if found.violated in check.caught_by else f"another property fails: {found.violated}"


def main() -> int:
    """Run all checks and print a table."""
    missing = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
    if missing:
        print(f"{', '.join(missing)}: not found. Install with: apt-get install spin gcc", file=sys.stderr)
        return 2
    is_good = True
    unreached: dict[str, frozenset[int]] = {}
    print(f"{'model':<11} {'variant':<50} {'result':<40} {'states':>9} {'s':>5}")
    for check in CHECKS:
        found = search(check)
        wrong = problem(check, found)
        is_good &= not wrong
        result = f"WRONG: {wrong}" if wrong else f"fails: {found.violated}" if found.violated else "holds"
        print(
            f"{check.model:<11} {check.variant:<50} {result:<40} {found.states:>9,} {found.seconds:>5.1f}", flush=True
        )
        if not check.caught_by and not check.liveness:
            unreached[check.model] = unreached.get(check.model, found.unreached) & found.unreached
    for model, lines in unreached.items():
        if lines:
            is_good = False
            print(f"{model}.pml: no run reaches lines {', '.join(map(str, sorted(lines)))}", file=sys.stderr)
    print("all as expected" if is_good else "NOT as expected")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
