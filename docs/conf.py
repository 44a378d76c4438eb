"""Sphinx's settings: `make docs` builds the pages here into build/site."""

import re
from typing import Any

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django_async_fast"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "docs"}},
)
django.setup()

from django_async_fast import __version__  # noqa: E402

project = "django-async-fast"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
html_theme = "furo"
html_title = f"{project} {release}"
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["site.css"]
# Links to a heading of a page, as GitHub makes them.
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\$ "
copybutton_prompt_is_regexp = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
# The servers of the examples, and what a release adds.
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1|example\.com).*"]

_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def _as_markdown(app: Any, what: str, name: str, thing: Any, *rest: Any) -> None:
    """Read single backticks in docstrings as Markdown does: code."""
    lines = rest[-1]
    lines[:] = [_CODE.sub(r"``\1``", line) for line in lines]


def setup(app: Any) -> None:
    """Connect what this page adds to Sphinx."""
    app.connect("autodoc-process-docstring", _as_markdown)
