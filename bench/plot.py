"""Show the pages of the last run in the README: `python -m bench.plot`.

Writes docs/pages.svg and the table between README's marks for it. Takes the newest file
of bench/results/ that has the suite `pages`, or the one that is named.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

from bench.contenders import label, load

ROOT = Path(__file__).resolve().parent.parent
README, PLOT = ROOT / "README.md", ROOT / "docs" / "pages.svg"

# In the order of the table: what the README calls a page.
PAGES = {
    "plain": "no query",
    "db": "one `get()`",
    "queries": "20 `get()`s",
    "fortunes": "12 rows in a template",
    "links": "20 links in a template",
    "updates": "20 x `get()`, `save()`",
    "books": "20 rows: join, filter, order, slice",
    "shop": "`count()`, `first()`, a prefetch",
    "site": "startproject's middleware, session, user, template",
    "site_sync": "the same, a synchronous view",
    "api": "Django REST framework, 20 rows",
}
# The bars of a page: a contender's colour.
COLOURS = {
    "pages_fast": "#0c4b33",
    "pages_asgi": "#d98e04",
    "pages_wsgi": "#8a8f98",
    "pages_starlette": "#5b7fb5",
    "pages_starlette_asyncpg": "#9b6a9e",
}
# By the label that its figures have: its name and colour.
BARS = {label(name, ""): (load(name).title, colour) for name, colour in COLOURS.items()}

Figures = dict[str, dict[str, float]]


def main() -> None:
    run = newest("test_page_")
    figures = _figures(run)
    PLOT.write_text(svg(figures))
    put(README, "pages", table(figures, run))


def newest(cases: str) -> Any:
    """Return the run that is named, or the newest, that has cases called so."""
    named = [Path(name) for name in sys.argv[1:]]
    for path in reversed(named or sorted((ROOT / "bench" / "results").glob("*.json"))):
        run = json.loads(path.read_text())
        if any(each["name"].startswith(cases) for each in run["benchmarks"]):
            print(f"of {path.name}")
            return run
    sys.exit(f"No run has any: python -m bench --only {cases}")


def put(page: Path, mark: str, text: str) -> None:
    """Write what stands between the marks of a page."""
    begin, end = f"<!-- {mark}:start -->\n", f"<!-- {mark}:end -->"
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}{text}{end}{rest.partition(end)[2]}")


def drawing(height: int, lines: Iterable[str]) -> str:
    """Return a picture of lines of SVG, 760 wide."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" '
        'font-family="sans-serif" font-size="12" fill="#555">'
    )
    return f"{head}\n{''.join(lines)}\n</svg>\n"


def _figures(run: Any) -> Figures:
    """Return page -> contender -> us of processor time a request."""
    found: Figures = {}
    for each in run["benchmarks"]:
        name = each["name"].partition("[")[0]
        if name.startswith("test_page_"):
            info = each["extra_info"]
            page = found.setdefault(name.removeprefix("test_page_"), {})
            page[info["contender"]] = median(info["cpu_seconds"]) * 1e6
    return found


def table(figures: Figures, run: Any) -> str:
    facts = run["machine_info"]["bench"]
    versions = facts["versions"]
    others = {name: bar for name, bar in BARS.items() if name != "pages-fast"}
    lines = [
        f"![Processor time a request]({PLOT.relative_to(ROOT)})\n",
        (
            "How many times less processor time a request takes than with the others\n"
            f"(above 1 is less), medians of {facts['rounds']} interleaved rounds\n"
            f"({facts['server']}, {facts['python']['version']}, "
            f"Django {versions['Django']};\n"
            f"`python -m bench --rounds {facts['rounds']} --only page_`):\n"
        ),
        f"| page | us | {' | '.join(f'x {title}' for title, _ in others.values())} |",
        f"|---|---{'|---' * len(others)}|",
    ]
    for page, title in PAGES.items():
        us = figures.get(page, {})
        if (ours := us.get("pages-fast")) is None:
            continue
        ratios = [f"{us[name] / ours:.2f}" if name in us else "" for name in others]
        lines.append(f"| {title} | {ours:,.0f} | {' | '.join(ratios)} |")
    return "\n".join(lines) + "\n"


def svg(figures: Figures) -> str:
    """Return bars of the processor time of each page, as a share of the longest."""
    lines = list(_bars(figures))
    height = 54 + sum(step for _, step in lines)
    drawn, y = [], 44
    for line, step in lines:
        drawn.append(line.format(y=y))
        y += step
    legend, x = [], 20
    for name, colour in BARS.values():
        legend.append(f'<rect x="{x}" y="14" width="10" height="10" fill="{colour}"/>')
        legend.append(f'<text x="{x + 15}" y="23">{escape(name)}</text>')
        x += 45 + round(6.5 * len(name))
    return drawing(height, [*legend, *drawn])


def _bars(figures: Figures) -> Iterator[tuple[str, int]]:
    """Yield each line of the drawing, for its `y`, and its height."""
    for page in PAGES:
        us = figures.get(page)
        if not us:
            continue
        longest = max(us.get(name, 0.0) for name in BARS)
        label = f'<text x="140" y="{{y}}" dy="10" text-anchor="end">{page}</text>'
        for contender, (_, colour) in BARS.items():
            if contender not in us:
                continue
            width = 520 * us[contender] / longest
            bar = f'<rect x="150" y="{{y}}" width="{width:.1f}" height="11" '
            figure = f'<text x="{155 + width:.1f}" y="{{y}}" dy="10">'
            drawn = (
                f'{label}{bar}fill="{colour}"/>{figure}{us[contender]:,.0f} us</text>'
            )
            yield drawn, 13
            label = ""
        yield "", 10


if __name__ == "__main__":
    main()
