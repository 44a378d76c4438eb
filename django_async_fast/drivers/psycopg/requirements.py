"""Which psycopg and psycopg_pool this package can work with."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

# Earlier ones lose cancellations (psycopg issues 1345, 1371 and 1401).
NEEDED = {"psycopg": (3, 3, 9), "psycopg-pool": (3, 3, 3)}


@cache
def psycopg_problem() -> str | None:
    """Return what is wrong with the installed psycopg, or None."""
    for name, needed in NEEDED.items():
        wanted = ".".join(map(str, needed))
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "none"
        if found == "none" or _parts(found) < needed:
            return (
                f"django-async-fast needs {name} {wanted} or later, found {found}. "
                f"Install it: pip install 'psycopg[binary,pool]>=3.3.9' "
                f"'{name}>={wanted}'"
            )
    return None


def _parts(text: str) -> tuple[int, ...]:
    digits = ("".join(filter(str.isdigit, n)) for n in text.split(".")[:3])
    return tuple(int(n or 0) for n in digits)
