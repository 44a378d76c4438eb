"""How many times as fast as a base a contender is, how sure that is, and since when."""

from typing import Any

from .records import Record, kind

# The first of these that took part is what a case is compared with.
BASES = ("stock", "stock:sync", "pages_asgi")
OURS = ("django_async_fast", "pages_fast")

# Least, middle, most.
Ratio = tuple[float, float, float]


def base_of(case: dict[str, Any]) -> str | None:
    return next((name for name in BASES if name in case["cpu"]), None)


def ours_of(case: dict[str, Any]) -> str | None:
    return next((name for name in OURS if name in case["cpu"]), None)


def ratios(case: dict[str, Any], clock: str) -> dict[str, Ratio]:
    """Return contender -> how many times as fast as the base, by quartiles of both."""
    base = base_of(case)
    if base is None:
        return {}
    low, middle, high = case[clock][base]
    return {
        name: (_round(low / slow), _round(middle / usual), _round(high / fast))
        for name, (fast, usual, slow) in case[clock].items()
        if name != base
    }


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def changed(before: Ratio, now: Ratio) -> int:
    """Return 1 or -1 where the ratio has risen or fallen by more than the noise."""
    if now[0] > before[2]:
        return 1
    return -1 if now[2] < before[0] else 0


def points(records: list[Record], clock: str = "cpu") -> dict[str, Any]:
    """Return kind of machine -> case -> its points, the oldest first."""
    found: dict[str, Any] = {}
    for number, record in enumerate(records):
        for name, case in record["cases"].items():
            now = ratios(case, clock)
            if not now:
                continue
            line = found.setdefault(kind(record), {}).setdefault(name, [])
            ours = ours_of(case)
            change = 0
            if line and ours in now and ours in line[-1]["ratios"]:
                change = changed(line[-1]["ratios"][ours], now[ours])
            line.append({"record": number, "ratios": now, "change": change})
    return found
