"""How requests reach the service: waitress, which reads a whole request before it takes a thread, run by gunicorn."""
