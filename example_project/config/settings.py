"""Settings of a small helpdesk, with django-exotel-ccm as a project of its own would set it up."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import environ

from config.secret_key import kept_secret_key
from django_exotel_ccm.conf import DEFAULT_POLICIES

env = environ.Env()
ROOT = Path(__file__).resolve().parents[2]
DATA = Path(env.str("HELPDESK_DATA", default="") or ROOT / ".demo")
DATA.mkdir(parents=True, exist_ok=True)

# --- django-exotel-ccm ------------------------------------------------------------------------------------------------
# The account is read from the environment: EXOTEL_API_KEY, EXOTEL_API_TOKEN, EXOTEL_ACCOUNT_SID and EXOTEL_REGION,
# or all four in one as EXOTEL_URL.
EXOTEL_CCM = {
    "CALLBACK_BASE_URL": env.str("CALLBACK_BASE_URL", default="http://127.0.0.1:8000"),
    "TICKETS": {
        "helpdesk.Ticket": {
            "prefix": "ticket",
            "phone": ["customer.phone", "customer.other_phone"],
            "call": {"recording": True},
        }
    },
    # A demo that is killed takes its simulated Exotel along, so nobody reports the end of the call that went on.
    "POLICIES": [
        *(rule for rule in DEFAULT_POLICIES if not rule.endswith(".OneCallAtATime")),
        "helpdesk.policies.no_made_up_numbers",
    ],
}

# --- Django -----------------------------------------------------------------------------------------------------------
SECRET_KEY = kept_secret_key(DATA / "secret_key")
DEBUG: bool = env.bool("HELPDESK_DEBUG", default=True)
LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]
# Exotel's callbacks come in under the public name, through a tunnel or a proxy.
ALLOWED_HOSTS = [*LOOPBACK, urlsplit(EXOTEL_CCM["CALLBACK_BASE_URL"]).hostname or "127.0.0.1"]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
USE_TZ = True
TIME_ZONE = "Asia/Kolkata"
LANGUAGE_CODE = "en-gb"
LANGUAGES = [("en-gb", "English"), ("hi", "हिन्दी")]
FORMAT_MODULE_PATH = ["config.formats"]
# Cookies know no ports: another project on this machine keeps its own session.
SESSION_COOKIE_NAME = "helpdesk_sessionid"
CSRF_COOKIE_NAME = "helpdesk_csrftoken"
LANGUAGE_COOKIE_NAME = "helpdesk_language"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_exotel_ccm",
    "helpdesk",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "example_project" / "templates"],
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
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / env.str("HELPDESK_DATABASE", default="helpdesk.sqlite3"),
        # Callbacks write while pages read: WAL lets them, and writers wait for each other instead of failing.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    # One line for each request would bury what the demo prints; what fails still shows.
    "loggers": {"django.server": {"level": "ERROR"}, "django.request": {"level": "ERROR"}},
}
