"""The web server: waitress, which reads a whole request before it uses a thread, run by gunicorn."""
