"""timerctl: the service from the command line."""
