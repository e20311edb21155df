"""Commands of the ready-made service."""
