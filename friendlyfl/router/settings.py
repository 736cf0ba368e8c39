"""Django's settings of the Routing Server, from the environment only; each NAME also as NAME_FILE.

FRIENDLYFL_ROUTER_HOME   folder of SQLite, payloads and the secret key    ~/.friendlyfl/router
SECRET_KEY               made at the first start and kept in the home folder
DATABASE_URL | DATABASE_HOST PORT NAME USER PASSWORD                      SQLite in the home folder
ALLOWED_HOSTS            names this server answers to, with commas        loopback
TRUSTED_PROXY            address of the reverse proxy that speaks HTTPS   none
ALLOW_PLAIN_HTTP         1: serve without HTTPS beyond loopback           0
PAYLOAD_STORE            dir:<folder>                                     dir:<home>/payloads
REQUESTS_PER_SECOND      of one site or person to the records             50
STRANGERS_PER_SECOND     of one address without a credential that holds   60
DEBUG                    1: Django's error pages                          0
"""

from __future__ import annotations

from pathlib import Path

from friendlyfl import __version__
from friendlyfl.core import limits

from . import environment

PREFIX = "/friendlyfl/api/v1/"
OLDEST_CONTROLLER = "0.1"  # the oldest minor version that is served
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

HOME = environment.home()
SECRET_KEY = environment.secret_key(HOME)
DEBUG = environment.flag("DEBUG")
ALLOWED_HOSTS = environment.listing("ALLOWED_HOSTS", ",".join(LOOPBACK))
if "*" in ALLOWED_HOSTS:
    raise environment.BadSetting("ALLOWED_HOSTS may not be *; list the names of this server.")
TRUSTED_PROXY = environment.listing("TRUSTED_PROXY", "")
ALLOW_PLAIN_HTTP = environment.flag("ALLOW_PLAIN_HTTP")
PAYLOAD_STORE = environment.text("PAYLOAD_STORE", f"dir:{HOME / 'payloads'}")
if not PAYLOAD_STORE.startswith("dir:"):
    raise environment.BadSetting("PAYLOAD_STORE must be dir: and a folder.")
if PAYLOAD_STORE == "dir:":
    raise environment.BadSetting("PAYLOAD_STORE names no folder; write dir: and a folder.")

REQUESTS_PER_SECOND = environment.number("REQUESTS_PER_SECOND", limits.REQUESTS_PER_SECOND, 1, 10**6)
STRANGERS_PER_SECOND = environment.number("STRANGERS_PER_SECOND", limits.STRANGERS_PER_SECOND, 1, 10**6)

DATABASES = {"default": environment.database(HOME)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "friendlyfl.router",  # first: its runserver replaces Django's
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "friendlyfl.router.api.middleware.RequestLog",
    "django.middleware.security.SecurityMiddleware",
    "friendlyfl.router.api.middleware.BrowserRules",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "friendlyfl.router.urls"
ASGI_APPLICATION = "friendlyfl.router.asgi.application"
APPEND_SLASH = False  # a path answers with and without its last slash, never by redirect
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
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

AUTH_USER_MODEL = "router.User"
AUTHENTICATION_BACKENDS = ["friendlyfl.router.registry.people.LimitedBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
SESSION_COOKIE_AGE = limits.LOGIN_KEPT
SESSION_COOKIE_NAME = "ffl_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "ffl_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
LOGIN_REDIRECT_URL = PREFIX
CSRF_FAILURE_VIEW = "friendlyfl.router.api.problems.csrf_failure"

# HTTPS ends at the trusted proxy. Without one the server speaks plain HTTP on loopback, where cookies
# marked Secure would lock people out of the browsable API.
HTTPS = bool(TRUSTED_PROXY)
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^friendlyfl/api/v1/health"]
SECURE_HSTS_SECONDS = 365 * 86400 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = limits.MESSAGE_BODY

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
WHITENOISE_USE_FINDERS = (
    True  # the assets come out of the installed packages: nothing to collect, nothing to go stale
)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["friendlyfl.router.api.authentication.OneCredential"],
    "DEFAULT_PERMISSION_CLASSES": ["friendlyfl.router.api.policy.DenyAll"],
    "DEFAULT_PARSER_CLASSES": ["friendlyfl.router.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "friendlyfl.router.api.renderers.BrowsableRenderer",
    ],
    "DEFAULT_SCHEMA_CLASS": "friendlyfl.router.api.schema.Described",
    "EXCEPTION_HANDLER": "friendlyfl.router.api.problems.answer",
    "URL_FORMAT_OVERRIDE": None,
    "DATETIME_FORMAT": "iso-8601",
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "FriendlyFL Routing Server",
    "DESCRIPTION": "Keeps records of users, sites, projects and runs; forwards sealed post it cannot open.",
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "PREPROCESSING_HOOKS": ["friendlyfl.router.api.schema.one_path_each"],
    "POSTPROCESSING_HOOKS": [],
    "OAS_VERSION": "3.1.0",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "friendlyfl.router.logs.JsonLines"}},
    "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["lines"], "level": "WARNING"},
    "loggers": {
        "friendlyfl": {"level": "INFO"},
        # An expected refusal has its own line in the request log; Django would write it a second time.
        "django.request": {"level": "CRITICAL"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
