"""Sign-in to the service: with a password and rate limits, or with a one-time link."""
