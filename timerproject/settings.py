"""Django's settings, read from the environment. docs/settings.md lists every variable."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from environ import Env

from timerproject import environment
from timerproject.database import database
from timerproject.embedded.folder import Folder
from timerproject.log_lines import configuration
from timerproject.secret_key import kept_in, new_encryption_key, new_secret_key
from timers import conf

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()

# ----------------------------------------------------------------- the timer service
# An invalid setting stops every command here, with an error message.
_given = {name: value for name, value in os.environ.items() if name.startswith(conf.PREFIX)}
_conf = conf.load(_given)
TIMERS = {name.removeprefix(conf.PREFIX): value for name, value in _given.items()}
VAR = (BASE_DIR / _conf.var).resolve()
EMBEDDED_DATABASE = not env.str("DATABASE_URL", default="")

# ----------------------------------------------------------------- database
DATABASES = {"default": database(env.str("DATABASE_URL", default=""), Folder.at(VAR))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ----------------------------------------------------------------- security
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[*environment.THIS_MACHINE])
DEBUG = environment.debug("DEBUG", hosts=ALLOWED_HOSTS)
SECRET_KEY = env.str("SECRET_KEY", default="")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
if not SECRET_KEY and EMBEDDED_DATABASE:
    SECRET_KEY = kept_in(VAR / "secret_key", new_secret_key)
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is needed when DATABASE_URL is set: all web processes of an installation must share one. "
        "Make it once, with `python3 -c 'import secrets; print(secrets.token_urlsafe(50))'`, and keep it private."
    )
if EMBEDDED_DATABASE and not _conf.encryption_keys:
    TIMERS["ENCRYPTION_KEYS"] = kept_in(VAR / "encryption_key", new_encryption_key)

# Served to other machines: over TLS, unless configured otherwise. Served to this machine only: plain http, because
# there is no certificate.
HTTPS = environment.switch("HTTPS", default=not set(ALLOWED_HOSTS) <= {*environment.THIS_MACHINE})
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 86400 if HTTPS else 0
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# It is unknown whether subdomains are served over TLS, so HSTS neither includes nor preloads them.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTHENTICATION_BACKENDS = ["timerproject.sign_in.limit.SignInLimit", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
# The maximum that the API accepts; it has lower limits of its own for each address.
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"

# ----------------------------------------------------------------- web
INSTALLED_APPS = [
    "timers",
    "timerproject",
    "timerproject.demo",
    "django_htmx",
    "ninja",
    # Without autodiscovery: the URLconf does it, so workers, which serve no pages, do not import the admin.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    *environment.apps("EXTRA_APPS"),
]
MIDDLEWARE = [
    "timers.api.middleware.ApiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "timerproject.csp.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "timers.security.current_actor_middleware.CurrentActorMiddleware",
    "timerproject.sign_in.limit.SignInLimitMiddleware",
    # Closed by default: a view that is public is marked with @login_not_required.
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "timerproject.urls"
WSGI_APPLICATION = "timerproject.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# ----------------------------------------------------------------- language, time, log
LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = environment.time_zone("TIME_ZONE", default="UTC")
LOGGING = configuration(_conf.log_format, environment.log_level("LOG_LEVEL", default="INFO"))
