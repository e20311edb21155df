"""timerctl: command line of the service."""
