"""Signing in to the service: with a password, with bounds on attempts, or with a link."""
