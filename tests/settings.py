"""A host project: stock admin, a helpdesk that knows nothing of calls, and this package."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

SECRET_KEY = "tests-only"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "Asia/Kolkata"
ROOT_URLCONF = "tests.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
STATIC_ROOT = Path(__file__).parent / "static"

INSTALLED_APPS = [
    "django_exotel_ccm",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "tests.helpdesk",
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
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

SQLITE = os.environ.get("SQLITE_NAME") or str(Path(tempfile.gettempdir()) / f"exotel_ccm_{os.getpid()}.sqlite3")
# The tests' own file is thrown away: nothing is gained by waiting for the disk. Benchmarks name a file, and wait.
SYNCHRONOUS = "FULL" if "SQLITE_NAME" in os.environ else "OFF"

if "POSTGRES_HOST" in os.environ:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["POSTGRES_HOST"],
            "NAME": "postgres",
            "USER": "postgres",
            "OPTIONS": {"application_name": "django-exotel-ccm tests"},
        }
    }
    INSTALLED_APPS += ["django_tasks_db"]
    TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
elif "MYSQL_SOCKET" in os.environ:
    import pymysql

    pymysql.install_as_MySQLdb()  # the driver of Django's own choice has to be compiled
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.mysql",
            "HOST": os.environ["MYSQL_SOCKET"],
            "NAME": "exotel_ccm",
            "USER": "root",
            "TEST": {"CHARSET": "utf8mb4"},
        }
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": SQLITE,
            # A file, so that threads share it; rivals wait for each other instead of failing.
            "TEST": {"NAME": SQLITE},
            "OPTIONS": {"timeout": 20, "init_command": f"PRAGMA journal_mode=WAL; PRAGMA synchronous={SYNCHRONOUS}"},
        }
    }

EXOTEL_CCM = {
    "POLICIES": [],  # most tests place many calls to one customer; those of the rules say which rule they are about
    "CALLBACK_BASE_URL": "http://127.0.0.1:1",
    "TICKETS": {
        "helpdesk.Ticket": {"prefix": "ticket", "phone": ["customer.phone", "customer.other_phone"]},
        "helpdesk.Lead": {"prefix": "lead", "numbers": "tests.helpdesk.models.lead_numbers"},
    },
}
