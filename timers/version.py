"""The version of the service; CHANGELOG.md and pyproject.toml name the same (checked by a test)."""

VERSION = "0.1.0"
