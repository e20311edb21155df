"""Convert job chains of SOS JobScheduler 1.x (`*.job_chain.xml`) to definitions. Pure: reads no files.

xml_text    XML elements with their line numbers; document types are refused
notes       what has no counterpart, with its location
nodes       the nodes of a job chain, validated
jobs        what is used of a `*.job.xml`: setbacks, timeout, tasks, locks
steps       convert nodes to steps
convert     convert the whole chain
"""

from __future__ import annotations

from timers.domain.chains.jobscheduler.convert import Converted, convert
from timers.domain.chains.jobscheduler.notes import Note
from timers.domain.chains.jobscheduler.xml_text import Source

__all__ = ["Converted", "Note", "Source", "convert"]
