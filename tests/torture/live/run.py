"""Run: the phases of a torture run, and the judgement of one that has ended."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any, Final

from tests.torture.live.checker import Run, check
from tests.torture.live.load import Client, Load, groups
from tests.torture.live.nemeses import strike
from tests.torture.live.plan import Profile, options_of, pause_after, plan
from tests.torture.live.records import Journal, read
from tests.torture.live.report import document, report
from tests.torture.live.system import System
from timers.version import VERSION

IN_FLIGHT: Final = 4
"""Executions for each node that run when a fault hits one of them."""
IN_FLIGHT_SECONDS: Final = 8.0
BEFORE_FAULT: Final = 1.5
"""Seconds in which they begin."""
ROUNDS: Final = 10
HELD_LONG: Final = """
SELECT COALESCE(sum(cardinality(c.executions)), 0) FROM timers_claim c
JOIN timers_node n ON n.id = c.node_id JOIN timers_timer_group g ON g.id = c.group_id
WHERE n.name = %s AND n.state = 'active' AND g.name = 'long'
"""
HITS_NODES: Final = frozenset({"kill", "child", "freeze", "cut"})
SETTLE: Final = 3.0
LEDGER: Final = """
SELECT id::text, name, extract(epoch FROM scheduled_for)::float8, attempt, outcome, fence, node,
       extract(epoch FROM started_at)::float8, extract(epoch FROM finished_at)::float8, reason
FROM timers_attempt ORDER BY id
"""
LEFT_OVER: Final = """
SELECT (SELECT count(*) FROM timers_claim) + (SELECT count(*) FROM timers_waiting)
     + (SELECT count(*) FROM timers_timer t JOIN timers_timer_group g ON g.id = t.group_id
        WHERE t.state = 'active' AND g.state = 'active' AND t.next_fire_at < clock_timestamp() - INTERVAL '5 s')
"""


def run(profile_name: str, profile: Profile, seed: int, folder: Path, report_at: Path | None = None) -> int:
    """Run all phases in `folder`, judge what was recorded and print the report; returns the exit code.

    `report_at`: where the report is written as a document too.
    """
    folder.mkdir(parents=True, exist_ok=False)
    folder.chmod(0o755)
    system = System(folder, profile.nodes)
    facts: dict[str, Any] = {
        "version": VERSION, "profile": profile_name, "seed": seed, "nodes": profile.nodes, "rate": profile.rate,
        "cpus": os.cpu_count(), "nemeses": list(profile.nemeses), "clock": time.time() - time.monotonic(),
        "options": options_of(profile_name, profile, seed),
    }  # fmt: skip
    try:
        system.start()
        facts["postgresql"] = system.rows("SHOW server_version")[0][0].split()[0]
        _storm(system, profile, seed, folder, facts)
        _read_ledger(system, folder, facts)
    finally:
        (folder / "run.json").write_text(json.dumps(facts, indent=1))
        system.close()
    return judge(folder, report_at)


def judge(folder: Path, report_at: Path | None = None) -> int:
    """Judge the records in a folder again, without any service, and print the report."""
    facts = json.loads((folder / "run.json").read_text())
    shift = facts["clock"]

    def wall(name: str) -> list[dict[str, Any]]:
        return [{**fact, "t": fact["t"] + shift} for fact in read(folder / name)]

    ended = Run(
        history=wall("history.jsonl"), effects=wall("effects.jsonl"), nemeses=wall("nemesis.jsonl"),
        ledger=list(read(folder / "ledger.jsonl")), calm_until=facts["calm_until"],
        created_until=facts["created_until"], left_over=facts["left_over"],
    )  # fmt: skip
    verdict = check(ended, facts["nemeses"])
    page = report(facts, ended, verdict)
    (folder / "report.txt").write_text(page)
    if report_at is not None:
        report_at.write_text(document(facts, page, verdict.exit_code))
    print(page, end="")
    print(f"records   {folder}\nreport    {report_at or folder / 'report.txt'}")
    return verdict.exit_code


def _storm(system: System, profile: Profile, seed: int, folder: Path, facts: dict[str, Any]) -> None:
    client = Client(system.web_port, system.key)
    for name, fields in groups(system.target.url).items():
        status, answer = client.ask("POST", "/groups", {"name": name, **fields})
        if status >= 300:
            raise RuntimeError(f"group {name}: {status} {answer}")
    load = Load(client, profile.rate, seed, folder)
    load.create_beats()
    load.start()
    time.sleep(profile.calm)
    facts["calm_until"] = time.time()
    journal, rng = Journal(folder / "nemesis.jsonl"), random.Random(seed)
    began = free_at = time.monotonic()
    for planned in plan(profile, seed):
        ready_at = began + planned.at - (BEFORE_FAULT if planned.nemesis in HITS_NODES else 0.0)
        time.sleep(max(0.0, ready_at - time.monotonic(), free_at - time.monotonic()))
        if planned.nemesis in HITS_NODES:
            system.wait_until_active(profile.nodes)
            _have_in_flight(system, load, planned.node)
        struck_at = time.monotonic()
        strike(system, planned, journal, rng)
        ended_at = time.monotonic()
        free_at = ended_at + pause_after(planned.nemesis, ended_at - struck_at)
        _announce(planned.nemesis, time.monotonic() - began)
    time.sleep(max(0.0, began + profile.storm - time.monotonic()))
    facts["created_until"] = time.time()
    load.stop_creating()
    _stop_beats(client)
    facts["left_over"] = _quiesce(system, profile.quiesce)
    load.stop()


def _have_in_flight(system: System, load: Load, node: int) -> None:
    """Have something run on the node when the fault hits it; one that has just started may not have workers yet."""
    for _ in range(ROUNDS):
        load.create_long(IN_FLIGHT * len(system.nodes), IN_FLIGHT_SECONDS)
        time.sleep(BEFORE_FAULT)
        [(held,)] = system.rows(HELD_LONG, system.nodes[node].name)
        if held >= IN_FLIGHT // 2:
            return


def _stop_beats(client: Client) -> None:
    """End the recurring timers once what was due is fired."""
    time.sleep(SETTLE)
    status, answer = client.ask("POST", "/groups/beats/pause", {}, timeout=30)
    if status >= 300:
        raise RuntimeError(f"the recurring timers cannot be paused: {status} {answer}")


def _quiesce(system: System, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    left = -1
    while time.monotonic() < deadline and left != 0:
        [(left,)] = system.rows(LEFT_OVER)
        time.sleep(0.25)
    return int(left)


def _read_ledger(system: System, folder: Path, facts: dict[str, Any]) -> None:
    names = (
        "id",
        "name",
        "scheduled_for",
        "attempt",
        "outcome",
        "fence",
        "node",
        "started_at",
        "finished_at",
        "reason",
    )
    with (folder / "ledger.jsonl").open("w") as file:
        for row in system.rows(LEDGER):
            file.write(json.dumps(dict(zip(names, row, strict=True))) + "\n")
    logs = [log.read_text(errors="replace") for log in folder.glob("node-*.log")]
    facts["refused"] = sum(log.count("finish refused for") for log in logs)


def _announce(nemesis: str, at: float) -> None:
    print(f"[{at:6.1f} s] {nemesis} has ended", flush=True)
