"""Application keys: their form, how they are read and cached."""
