"""Django settings of a Controller. Everything comes from the home and the environment; no secret has a default.

The command line prepares FRIENDLYFL_HOME before this module is read (`friendlyfl.controller.open_home`).
"""

import os
from pathlib import Path

from friendlyfl.controller.home import Home

HOME = Home.locate()
SECRET_KEY = os.environ.get("SECRET_KEY") or HOME.sub("secret_key").read_text()
DEBUG = False
ALLOWED_HOSTS = os.environ.get("FRIENDLYFL_PORTAL_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
PORTAL_TLS = os.environ.get("FRIENDLYFL_PORTAL_TLS", "") == "yes"  # the portal is reached through HTTPS

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django_htmx",
    "friendlyfl.controller",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "friendlyfl.controller.portal.headers.StrictHeaders",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "friendlyfl.controller.portal.attended.Attended",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "friendlyfl.controller.portal.language.PersonsLanguage",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "friendlyfl.controller.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "portal" / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "friendlyfl.controller.portal.context.line",
            ],
            "builtins": ["friendlyfl.controller.portal.templatetags.words"],
            "libraries": {
                name: f"friendlyfl.controller.portal.templatetags.{name}"
                for name in ("portal", "projects", "results")
            },
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": HOME.database,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                "PRAGMA cache_size=-16000;"
            ),
        },
        "CONN_MAX_AGE": None,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "controller.Person"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "portal:login"
LOGIN_REDIRECT_URL = "portal:home"
SESSION_COOKIE_AGE = 30 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PORTAL_TLS
SESSION_COOKIE_NAME = f"friendlyfl_{os.environ.get('FRIENDLYFL_PORTAL_PORT', 'portal')}"
CSRF_COOKIE_NAME = f"{SESSION_COOKIE_NAME}_csrf"
SECURE_SSL_REDIRECT = PORTAL_TLS
SECURE_HSTS_SECONDS = 31_536_000 if PORTAL_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PORTAL_TLS
SECURE_REFERRER_POLICY = "same-origin"
STATIC_URL = "/static/"
STATIC_ROOT = None
WHITENOISE_USE_FINDERS = True
STATICFILES_DIRS = [Path(__file__).parent / "portal" / "static"]
REHEARSAL = os.environ.get("FRIENDLYFL_REHEARSAL", "") == "yes"  # pretend hospitals; see cli/rehearsal.py
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [Path(__file__).parent / "portal" / "locale"]
FORMAT_MODULE_PATH = ["friendlyfl.controller.portal.formats"]
LANGUAGE_COOKIE_NAME = f"{SESSION_COOKIE_NAME}_language"
FILE_UPLOAD_HANDLERS = ["friendlyfl.controller.portal.uploads.IntoHome"]
FILE_UPLOAD_TEMP_DIR = HOME.sub("tables")
SILENCED_SYSTEM_CHECKS = ["files.E001"]  # the home makes that folder and checks it at each start
UPLOAD_BYTES = 1 << 30  # of one table that is given at the portal; larger ones are read where they lie
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000  # a table has many columns, and a form asks about each
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {
        "file": {
            "class": "logging.handlers.RotatingFileHandler",
            "filename": HOME.sub("logs") / "controller.log",
            "maxBytes": 5_000_000,
            "backupCount": 3,
            "formatter": "plain",
            "delay": True,
        }
    },
    "root": {"handlers": ["file"], "level": os.environ.get("FRIENDLYFL_LOG_LEVEL", "INFO")},
}
