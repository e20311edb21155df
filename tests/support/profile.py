"""The size of tests that grow with it: short for each change, long (TESTS_LONG=1) before a release."""

from __future__ import annotations

import os
from typing import Final

IS_LONG: Final = bool(os.environ.get("TESTS_LONG"))
