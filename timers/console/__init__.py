"""Console pages: read from `insights`; forms call `control`."""
