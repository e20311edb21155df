"""WSGI application for gunicorn: `gunicorn timerproject.wsgi`."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from timerproject.web_session import bound_sessions

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "timerproject.settings")

application = get_wsgi_application()
bound_sessions()
