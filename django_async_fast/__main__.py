"""`python -m django_async_fast doctor`: look a project over, without changing it."""

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
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
    settings = argparse.ArgumentParser(add_help=False)
    settings.add_argument(
        "--settings", help="the settings module (default: DJANGO_SETTINGS_MODULE)"
    )
    text = "say what is native in a project, what is not, and the remedies"
    commands.add_parser("doctor", help=text, parents=[settings])
    text = "ask a database for what the package needs of it"
    check = commands.add_parser("check", help=text, parents=[settings])
    check.add_argument("--database", default="default", help="an alias of DATABASES")
    chosen = parser.parse_args(arguments)
    if chosen.settings:
        os.environ["DJANGO_SETTINGS_MODULE"] = chosen.settings
    sys.path.insert(0, "")
    return _doctor() if chosen.command == "doctor" else _check(chosen.database)


def _check(alias: str) -> int:
    django.setup()
    probes: Any = import_module(".doctor.probes", "django_async_fast")
    try:
        found = probes.answers(alias)
    except Exception as exc:
        print(f"{alias}: no answer: {exc}")
        return 1
    return write(sys.stdout, alias, found)


def _doctor() -> int:
    if "DJANGO_SETTINGS_MODULE" not in os.environ:
        code = examine(sys.stdout, with_project=False)
        print("No project was looked at: pass --settings, or `manage.py doctor`.")
        return code
    try:
        django.setup()
    except Exception:
        examine(sys.stdout, with_project=False)
        print(f"The project cannot be set up:\n{traceback.format_exc()}")
        return 1
    return examine(sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
