"""Application keys: their format, how they are read and cached."""
