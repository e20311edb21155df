"""Report: one page about a run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from tests.torture.live.checker import FIRING_AGAIN_BOUND, Run, Verdict
from tests.torture.live.plan import RESTART_BOUNDS


def report(facts: dict[str, Any], run: Run, verdict: Verdict) -> str:
    """The page as text. `facts`: what run.json holds."""
    count = verdict.counts
    head = " ".join(f"{name}={facts[name]}" for name in ("profile", "seed", "nodes", "rate", "postgresql", "cpus"))
    lines = [f"torture {facts['version']} {head}"]
    for phase, (p50, p99, most) in verdict.lateness.items():
        lines.append(f"{phase:9} lateness p50 {p50:.3f} s  p99 {p99:.3f} s  most {most:.3f} s")
    begins = [fact for fact in run.nemeses if fact["phase"] == "begin"]
    lines.append("faults    " + "  ".join(f"+{fact['t'] - run.calm_until:.0f}s {fact['nemesis']} {fact.get('node', '')}"
                                          .rstrip() for fact in begins))  # fmt: skip
    lines += [
        f"creates   ok {count['creates ok']}  failed {count['creates fail']}  unknown {count['creates info']}"
        f" (recovered {count['recovered']}, absent {count['absent']})  cancelled {count['cancels ok']}",
        f"outcomes  succeeded {count['succeeded']}  failed {count['failed']}  cancelled {count['cancelled']}"
        f"  skipped {count['skipped']}  beats {count['beats']}",
        f"judged    lost {count['lost']}  unexpected {count['unexpected']}  two outcomes {count['two outcomes']}"
        f"  missed beats {count['missed beats']}  left over {count['left over']}",
        f"fencing   attempts lost {count['attempts lost']}  finishes refused {facts.get('refused', 0)}"
        f"  stale {count['stale']}  fence order {count['fence order']}  replies lost {count['replies lost']}",
        f"effects   starts {count['starts']}  again {count['starts again']} (unexplained {count['unexplained']})"
        f"  early {count['early']}  after cancel {count['after cancel']}",
        "restarts  " + "  ".join(f"{name} {seconds:.1f} s (<= {RESTART_BOUNDS[name]:.0f})"
                                 for name, seconds in sorted(verdict.restarts.items()))
        + f"  database {verdict.firing_again:.1f} s (<= {FIRING_AGAIN_BOUND:.0f})",
    ]  # fmt: skip
    lines += [f"VIOLATION {words}" for words in verdict.violations]
    lines += [f"MISSING   {words}" for words in verdict.missing]
    words = {0: "PASS", 1: "FAIL", 3: "INCONCLUSIVE"}[verdict.exit_code]
    lines.append(f"VERDICT   {words}")
    return "\n".join(lines) + "\n"


def document(facts: dict[str, Any], page: str, exit_code: int) -> str:
    """The page as a document in Markdown. `exit_code`: that of the verdict."""
    options = facts["options"]
    ended = f"{datetime.fromtimestamp(facts['created_until'], UTC):%Y-%m-%d}"
    return _DOCUMENT.format(
        options=options, day=ended, nodes=facts["nodes"], rate=f"{facts['rate']:g}", cpus=facts["cpus"],
        result=_RESULTS[exit_code], page=page,
    )  # fmt: skip


_RESULTS: Final = {
    0: "Every promise held, and every fault struck.",
    1: "**A promise was broken**: see the lines that begin with VIOLATION.",
    3: "Nothing was broken, and something never happened that must: see the lines that begin with MISSING.",
}
_DOCUMENT: Final = """# Torture report

A run of the live harness on {day}: {nodes} nodes on one machine of {cpus} CPUs, {rate} timers a second.
{result}

Written by

```sh
python -m tests.torture run {options} --report docs/torture-report.md
```

[How it is read](testing-guarantees.md#how-the-report-is-read).

```text
{page}```
"""
