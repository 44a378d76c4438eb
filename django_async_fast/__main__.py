"""`python -m django_async_fast doctor`: look a project over, without changing it."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from importlib import import_module
from typing import Any

import django

from .doctor.answers import write
from .doctor.examination import examine


def main(arguments: list[str] | None = None) -> int:
    """Run a command of the package's; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m django_async_fast")
    commands = parser.add_subparsers(required=True, metavar="command")
    doctor = commands.add_parser(
        "doctor", help="say what is native in a project, what is not, and the remedies"
    )
    doctor.add_argument(
        "--settings", help="the settings module (default: DJANGO_SETTINGS_MODULE)"
    )
    check = commands.add_parser(
        "check", help="ask a database for what the package needs of it"
    )
    check.add_argument(
        "--settings", help="the settings module (default: DJANGO_SETTINGS_MODULE)"
    )
    check.add_argument("--database", default="default", help="an alias of DATABASES")
    doctor.set_defaults(run=lambda chosen: _doctor(chosen.settings))
    check.set_defaults(run=lambda chosen: _check(chosen.settings, chosen.database))
    chosen = parser.parse_args(arguments)
    code: int = chosen.run(chosen)
    return code


def _check(settings: str | None, alias: str) -> int:
    if settings:
        os.environ["DJANGO_SETTINGS_MODULE"] = settings
    sys.path.insert(0, "")
    django.setup()
    probes: Any = import_module(".doctor.probes", "django_async_fast")
    try:
        found = probes.answers(alias)
    except Exception as exc:
        print(f"{alias}: no answer: {exc}")
        return 1
    return write(sys.stdout, alias, found)


def _doctor(settings: str | None) -> int:
    if settings:
        os.environ["DJANGO_SETTINGS_MODULE"] = settings
    if "DJANGO_SETTINGS_MODULE" not in os.environ:
        code = examine(sys.stdout, with_project=False)
        print("No project was looked at: pass --settings, or `manage.py doctor`.")
        return code
    sys.path.insert(0, "")
    try:
        django.setup()
    except Exception:
        examine(sys.stdout, with_project=False)
        print(f"The project cannot be set up:\n{traceback.format_exc()}")
        return 1
    return examine(sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
