"""Our files are skipped, as Django's are, by whoever looks for the line that called.

Django names that line in its warnings: `skip_file_prefixes=django_file_prefixes()`,
or by the names of modules.
"""

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from django.utils import deprecation

OURS = f"{Path(__file__).parents[1]}{os.sep}"
_NONE = object()


def django_file_prefixes() -> tuple[str, ...]:
    """`django_file_prefixes()`: the directories of Django's code, and ours."""
    before: Any = django_file_prefixes
    return (*before.__wrapped__(), OURS)


def warn_about_external_use(
    message: str, category: type[Warning], *, skip_name_prefixes: Any, **options: Any
) -> None:
    """`warn_about_external_use()` of a module that names whose frames it skips."""
    before: Any = warn_about_external_use
    names = *skip_name_prefixes, f"{__name__.partition('.')[0]}."
    # It leaves out itself and who calls it, which is here: the module's is in names.
    before.__wrapped__(message, category, skip_name_prefixes=names, **options)


def importers() -> list[ModuleType]:
    """Return the modules that have Django's function; later ones import ours."""
    # Django 5.2 has none.
    known = getattr(deprecation, "django_file_prefixes", _NONE)
    return [
        module
        for name, module in sys.modules.items()
        if name.startswith("django.")
        and vars(module).get("django_file_prefixes") is known
    ]
