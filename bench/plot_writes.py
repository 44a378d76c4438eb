"""Show the last run's bulk writes in docs/writing.md: `python -m bench.plot_writes`.

Writes docs/writes.svg and the table between that page's marks for it. Takes the newest
file of bench/results/ that has the suite `writes`, or the one that is named.
"""

from collections.abc import Iterator
from math import log10
from statistics import median
from typing import Any

from bench.plot import ROOT, drawing, newest, put

PAGE, PLOT = ROOT / "docs" / "writing.md", ROOT / "docs" / "writes.svg"

# Contender's label -> its name and colour.
LINES = {
    "django-async-fast": ("django-async-fast", "#0c4b33"),
    "stock:sync": ("stock Django", "#d98e04"),
}
WRITES = "create", "update"

# (write, rows) -> label -> seconds and processor seconds a row.
Figures = dict[tuple[str, int], dict[str, tuple[float, float]]]


def main() -> None:
    run = newest("test_bulk_")
    figures = figures_of(run)
    PLOT.write_text(svg(figures))
    put(PAGE, "writes", table(figures, run))


def figures_of(run: Any) -> Figures:
    found: Figures = {}
    for each in run["benchmarks"]:
        name, _, label = each["name"].removesuffix("]").partition("[")
        if name.startswith("test_bulk_"):
            write, _, rows = name.removeprefix("test_bulk_").partition("_")
            cpu = median(each["extra_info"]["cpu_seconds"])
            of_size = found.setdefault((write, int(rows)), {})
            of_size[label] = each["stats"]["median"], cpu
    return found


def table(figures: Figures, run: Any) -> str:
    facts = run["machine_info"]["bench"]
    lines = [
        "![Rows a second, by how many are written at once](writes.svg)\n",
        (
            f"Medians of {facts['rounds']} rounds in turns ({facts['server']}, "
            f"{facts['python']['version']}, Django {facts['versions']['Django']}):\n"
        ),
        "| | rows a second | stock's | times | in processor time |",
        "|---|---|---|---|---|",
    ]
    for (write, rows), us in sorted(figures.items()):
        if not us.keys() >= LINES.keys():
            continue
        (ours, our_cpu), (stocks, stocks_cpu) = (us[name] for name in LINES)
        lines.append(
            f"| `abulk_{write}()` of {rows:,} | {1 / ours:,.0f} | {1 / stocks:,.0f} "
            f"| {stocks / ours:.1f} | {stocks_cpu / our_cpu:.1f} |"
        )
    return "\n".join(lines) + "\n"


def svg(figures: Figures) -> str:
    """Return lines of rows a second against rows, both in powers of ten."""
    drawn = []
    for i, write in enumerate(WRITES):
        sizes = sorted(
            (rows, us) for (kind, rows), us in figures.items() if kind == write
        )
        if sizes:
            drawn += _chart(f"bulk_{write}()", sizes, 60 + 380 * i)
    return drawing(250, drawn)


def _chart(title: str, sizes: list[tuple[int, Any]], left: int) -> Iterator[str]:
    def x(rows: float) -> float:
        return left + 58 * (log10(rows) - 1)

    def y(per_second: float) -> float:
        return 210 - 42 * (log10(per_second) - 2)

    yield f'<text x="{left}" y="16" font-weight="bold">{title}</text>'
    for power in range(2, 7):
        at = y(10**power)
        yield f'<path d="M{left} {at:.0f}h260" stroke="#ddd"/>'
        label = f'<text x="{left - 6}" y="{at + 4:.0f}" text-anchor="end">'
        yield f"{label}{10**power:,}</text>"
    for power in range(1, 6):
        label = f'<text x="{x(10**power):.0f}" y="228" text-anchor="middle">'
        yield f"{label}{10**power:,}</text>"
    yield f'<text x="{left + 130}" y="245" text-anchor="middle">rows at once</text>'
    for row, (label, (name, colour)) in enumerate(LINES.items()):
        points = [(x(rows), y(1 / us[label][0])) for rows, us in sizes if label in us]
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for a, b in points:
            yield f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>'
        key = f'<text x="{left + 110 + 130 * row}" y="16" fill="{colour}">'
        yield f"{key}{name}</text>"


if __name__ == "__main__":
    main()
