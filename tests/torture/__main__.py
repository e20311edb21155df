"""python -m tests.torture: run the service under faults and judge it by independent records.

    python -m tests.torture run --profile smoke --seed 42     # minutes; prints a one-page report
    python -m tests.torture run --profile standard --report docs/torture-report.md
    python -m tests.torture check runs/42                     # judge the records of a run again
    python -m tests.torture plan --profile standard --seed 42 # which fault strikes when
    python -m tests.torture sim --seeds 2000                  # seeded interleaving of the engine in virtual time
    python -m tests.torture sim --seed 1733 --trace           # one seed again, step by step
    python -m tests.torture mutants                           # planted bugs that the simulator must find

Exit codes: 0 passed, 1 a violation, 2 the harness itself failed, 3 inconclusive (something never happened that must).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from dataclasses import replace
from pathlib import Path

from tests.torture.live.plan import NEMESES, PROFILES, Profile, plan


def main() -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=(__doc__ or "").partition("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "plan"):
        command = commands.add_parser(name)
        command.add_argument("--profile", choices=list(PROFILES), default="smoke")
        command.add_argument("--seed", type=int, default=42)
        command.add_argument("--nodes", type=int)
        command.add_argument("--rate", type=float, help="timers due per second")
        command.add_argument("--duration", type=float, help="seconds of the storm")
        command.add_argument("--nemesis", help=f"comma-separated, of {', '.join(NEMESES)}")
        command.add_argument("--out", type=Path, help="folder for the records (default: a temporary one)")
    commands.choices["run"].add_argument("--report", type=Path, help="file for the report as a document (Markdown)")
    checking = commands.add_parser("check")
    checking.add_argument("folder", type=Path)
    checking.add_argument("--report", type=Path, help="as for run")
    sim = commands.add_parser("sim", help="simulate seeds in virtual time, and check the invariants")
    sim.add_argument("--seeds", type=int, default=100, help="how many, from --first on (default: 100)")
    sim.add_argument("--first", type=int, default=1, help="the first seed (default: 1)")
    sim.add_argument("--seed", type=int, help="this seed alone")
    sim.add_argument("--jobs", type=int, default=1, help="processes, each with a database of its own (default: 1)")
    sim.add_argument("--trace", action="store_true", help="print all steps")
    mutants = commands.add_parser("mutants", help="plant bugs that the simulator must find")
    mutants.add_argument("--seeds", type=int, default=400, help="the most for each mutant (default: 400)")
    options = parser.parse_args()
    if options.command in ("sim", "mutants"):
        return _simulate(options)
    if options.command == "plan":
        for each in plan(_profile(options), options.seed):
            print(f"{each.at:7.1f} s  {each.nemesis:10} for {each.seconds:.1f} s  node {each.node}")
        return 0
    # What needs Django's settings is imported only here.
    import django

    django.setup()
    from tests.torture.live.run import judge, run

    out = options.folder if options.command == "check" else options.out
    out = out or Path(tempfile.mkdtemp(prefix="torture-")) / str(options.seed)
    try:
        if options.command == "check":
            return judge(out, options.report)
        return run(options.profile, _profile(options), options.seed, out, options.report)
    except Exception:  # noqa: BLE001 - a failure of the harness has an exit code of its own
        traceback.print_exc()
        print(f"The harness failed, which says nothing of the service. Its records: {out}", file=sys.stderr)
        return 2


def _simulate(options: argparse.Namespace) -> int:
    """Run `sim` or `mutants` on a throw-away database, in a process whose sets have one order in every run."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ |= {"PYTHONHASHSEED": "0", "DJANGO_SETTINGS_MODULE": "tests.settings"}
        os.execv(sys.executable, [sys.executable, "-m", "tests.torture", *sys.argv[1:]])
    import django

    django.setup()
    from tests.torture.sim.command import hunt, simulate, simulate_in_parallel

    try:
        if options.command == "mutants":
            return hunt(options.seeds)
        first, count = (options.first, options.seeds) if options.seed is None else (options.seed, 1)
        if options.jobs > 1:
            return simulate_in_parallel(first, count, options.jobs)
        return simulate(range(first, first + count), trace=options.trace)
    except Exception:  # noqa: BLE001 - as above
        traceback.print_exc()
        return 2


def _profile(options: argparse.Namespace) -> Profile:
    profile = PROFILES[options.profile]
    if options.nemesis:
        profile = replace(profile, nemeses=tuple(options.nemesis.split(",")))
    if unknown := set(profile.nemeses) - set(NEMESES):
        raise SystemExit(f"--nemesis: {', '.join(sorted(unknown))} is unknown. Use {', '.join(NEMESES)}.")
    return replace(
        profile, nodes=options.nodes or profile.nodes, rate=options.rate or profile.rate,
        storm=options.duration or profile.storm,
    )  # fmt: skip


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.torture.settings")
    sys.exit(main())
