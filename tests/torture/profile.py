"""The size of the torture tests: short for each change, long (TORTURE_LONG=1) before a release."""

from __future__ import annotations

import os
from typing import Final

IS_LONG: Final = bool(os.environ.get("TORTURE_LONG"))
