"""The commands `sim` and `mutants`."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Final

from tests.torture.sim.database import world
from tests.torture.sim.minimise import minimise
from tests.torture.sim.mutants import MUTANTS, Mutant
from tests.torture.sim.world import Result, World

_OF_THIS_RUN: Final = frozenset({"TIMER_TEST_RUN", "TIMERS_VAR"})
"""What tests.settings sets for this process and those it starts; others have databases of their own."""
SHOWN: Final = 60
"""Lines of a trace that are printed without --trace: the last ones."""


def simulate(seeds: Iterable[int], *, trace: bool) -> int:
    """Run seeds and print the violations; returns the exit code."""
    logging.disable(logging.ERROR)
    began, count, failed, steps, starts, faults = time.monotonic(), 0, 0, 0, 0, 0
    with world() as here:
        for seed in seeds:
            result = here.run(seed)
            count, steps, starts = count + 1, steps + result.steps, starts + result.starts
            faults += len(result.struck)
            if result.failure:
                failed += 1
                _report(here, result, trace=trace)
            elif trace:
                print("\n".join(result.trace))
    seconds = time.monotonic() - began
    print(
        f"{count:,} seeds: {failed} violated an invariant; {steps:,} steps, {starts:,} attempts, {faults:,} faults;"
        f" {count / seconds:.1f} seeds/s"
    )
    return 1 if failed else 0


def simulate_in_parallel(first: int, count: int, jobs: int) -> int:
    """Run a share of the seeds in each of some processes; returns the worst of their exit codes."""
    began, share = time.monotonic(), -(-count // jobs)
    environment = {name: value for name, value in os.environ.items() if name not in _OF_THIS_RUN}
    shares = [(begin, min(share, first + count - begin)) for begin in range(first, first + count, share)]
    words = [sys.executable, "-m", "tests.torture", "sim"]
    processes = [
        subprocess.Popen([*words, "--first", str(begin), "--seeds", str(number)], env=environment)
        for begin, number in shares
    ]
    code = max(process.wait() for process in processes)
    print(f"{count:,} seeds in {jobs} processes: {count / (time.monotonic() - began):.1f} seeds/s")
    return code


def _report(here: World, result: Result, *, trace: bool) -> None:
    smallest = minimise(result, lambda faults: here.run(result.seed, faults, every=1))
    print(f"seed {result.seed}: {smallest.failure}")
    print("faults: " + ("; ".join(map(str, smallest.struck)) or "none"))
    lines = smallest.trace if trace else smallest.trace[-SHOWN:]
    print("\n".join(lines))
    print(f"replay: python -m tests.torture sim --seed {result.seed} --trace\n", flush=True)


def hunt(most: int) -> int:
    """Run each mutant until it is caught, in `most` seeds at the most; then the engine as it is over the same seeds.

    Returns the exit code: 0 if all mutants are caught and the engine is clean.
    """
    logging.disable(logging.CRITICAL)
    needed, missed = 0, 0
    with world() as here:
        for mutant in MUTANTS:
            caught = catch(here, mutant, most)
            words = "NOT CAUGHT" if caught is None else f"seed {caught.seed:4}  {caught.failure[:110]}"
            print(f"{mutant.name:4} {mutant.words:48} {words}", flush=True)
            missed += caught is None
            needed = max(needed, most if caught is None else caught.seed)
        failed = [result for seed in range(1, needed + 1) if (result := here.run(seed)).failure]
        for result in failed:
            print(f"the engine as it is: seed {result.seed}: {result.failure}")
    print(
        f"caught {len(MUTANTS) - missed} of {len(MUTANTS)}; the engine as it is: {len(failed)} of {needed} seeds failed"
    )
    return 1 if missed or failed else 0


def catch(here: World, mutant: Mutant, most: int) -> Result | None:
    """The first seed whose invariants find the mutant."""
    for seed in range(1, most + 1):
        with mutant.plant():
            result = here.run(seed)
        if result.failure and result.invariant != "crash":
            return result
    return None
