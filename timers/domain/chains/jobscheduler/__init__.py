"""Convert job chains of SOS JobScheduler 1.x (`*.job_chain.xml`) into definitions. Pure: it reads no files.

xml_text    XML with the line of each element; document types are refused
notes       what has no counterpart, each with its place
nodes       the nodes of a job chain, checked
jobs        what is taken of a `*.job.xml`: setbacks, timeout, tasks, locks
steps       a node becomes steps
convert     the whole chain
"""

from __future__ import annotations

from timers.domain.chains.jobscheduler.convert import Converted, convert
from timers.domain.chains.jobscheduler.notes import Note
from timers.domain.chains.jobscheduler.xml_text import Source

__all__ = ["Converted", "Note", "Source", "convert"]
