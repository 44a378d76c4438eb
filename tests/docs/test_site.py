"""The site: it builds without a warning, its links lead somewhere, nothing is left out."""

import ast
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import django_async_fast
from django_async_fast import asgi, conf, transaction
from tests.docs import pages

DOCS = pages.ROOT / "docs"
# Set by `make docs`, which installs Sphinx: then it may not be missing.
REQUIRED = "DOCS_REQUIRED" in os.environ
needs_sphinx = pytest.mark.skipif(
    not REQUIRED and None in map(find_spec, ("sphinx", "furo", "myst_parser")),
    reason="`make docs` installs it",
)


class Page(HTMLParser):
    """What a page has to be linked to, and what it links to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors = {""}
        self.targets: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.anchors.add(found["id"] or "")
        self.targets |= {found[name] or "" for name in ("href", "src") if name in found}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, as `make docs` does."""
    out = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", DOCS, out]
    environ = os.environ | {"PYTHONPATH": str(pages.ROOT)}
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    return out


@needs_sphinx
def test_its_links_lead_somewhere(site: Path) -> None:
    read = {path: Page(path) for path in site.rglob("*.html")}
    broken = []
    for path, page in read.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = to in read or to.is_file()
            if not there or (to in read and parts.fragment not in read[to].anchors):
                broken.append(f"{path.name}: {target}")
    assert len(read) > len(pages.PAGES)
    assert broken == []


@needs_sphinx
def test_it_has_every_page_and_can_be_searched(site: Path) -> None:
    front = Page(site / "index.html")
    made = {f"{page.stem}.html" for page in DOCS.glob("*.md")} - {"index.html"}
    assert made <= {target.partition("#")[0] for target in front.targets}
    index = (site / "searchindex.js").read_text()
    assert '"savepoint"' in index or "savepoint:" in index


@needs_sphinx
def test_the_api_has_docstrings(site: Path) -> None:
    page = (site / "api.html").read_text()
    assert "Return all items of an async iterable" in page
    # As code, not as backticks.
    assert '<code class="docutils literal notranslate">' in page
    assert not re.search(r">[^<]*(?<!`)`\w+`", page)


def test_the_api_page_has_every_public_name() -> None:
    text = (DOCS / "api.md").read_text()
    listed = set(re.findall(r"^\.\. auto\w+:: ([\w.]+)", text, re.MULTILINE))
    listed |= set(re.findall(r"^\.\. data:: (\w+)", text, re.MULTILINE))
    public = {*django_async_fast.__all__} - {"__version__"}
    awaited = {name for name in transaction.__all__ if name in transaction.ADDED}
    assert public <= listed
    assert awaited - {"asavepoint_create"} <= listed
    assert {*asgi.__all__} <= listed


def test_the_settings_page_has_every_setting_and_its_default() -> None:
    text = (DOCS / "settings.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \|", text, re.MULTILINE)
    assert {name: ast.literal_eval(value) for name, value in rows} == conf.DEFAULTS


def test_pictures_are_described() -> None:
    for page in pages.PAGES:
        for alternative in re.findall(r"!\[(.*?)\]\(", page.read_text()):
            assert len(alternative) > 20, page.name
