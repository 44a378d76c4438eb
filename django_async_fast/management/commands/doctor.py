"""`manage.py doctor`: what is native in this project, what is not, and the remedies."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from ...doctor.examination import examine


class Command(BaseCommand):
    """Looks the project over, without changing it."""

    help = "Say what is native in this project, what is not, and each remedy."
    requires_system_checks: list[Any] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if code := examine(self.stdout):
            sys.exit(code)
