"""examples/library: its own tests, the doctor, a server, and what Docker is told."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from psycopg.conninfo import conninfo_to_dict

from tools.postgres import database, free_port

LIBRARY = Path(__file__).parents[2] / "examples" / "library"
PACKAGE = LIBRARY.parents[1]
START = 30.0
NAMES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
NAMES["password"] = "PGPASSWORD"

pytestmark = pytest.mark.skipif(
    None in map(find_spec, ("rest_framework", "uvicorn", "yaml")),
    reason="the dependency group `example` has what it needs",
)


@pytest.fixture(scope="module")
def environ(server_dsn: str) -> Iterator[dict[str, str]]:
    """The environment of the example's commands, with a migrated database."""
    with database(server_dsn, "django_async_fast_library") as dsn:
        named = conninfo_to_dict(dsn).items()
        environ = {
            **os.environ,
            **{NAMES[name]: str(value) for name, value in named if name in NAMES},
            "PYTHONPATH": str(PACKAGE),
            "PYTHONWARNINGS": "error",
            "DJANGO_SETTINGS_MODULE": "library.settings",
        }
        manage(environ, "migrate", "--verbosity=0")
        yield environ


def manage(environ: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=LIBRARY,
        env=environ,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_its_tests_pass(environ: dict[str, str]) -> None:
    assert re.search(r"Ran \d+ tests in .*\n\nOK", manage(environ, "test"))


def test_its_migrations_are_those_of_its_models(environ: dict[str, str]) -> None:
    manage(environ, "makemigrations", "--check", "--dry-run")


def test_the_doctor_has_nothing_to_say(environ: dict[str, str]) -> None:
    assert "0 problems, 0 notes" in manage(environ, "doctor")


# The first request imports views and templates; on a busy machine that is a stall.
PATIENT = f"""
from library.settings import *
DJANGO_ASYNC_FAST = {{"STALL_WATCH": {START}}}
"""


def test_it_is_served_as_the_container_serves_it(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "patient.py").write_text(PATIENT)
    port = free_port()
    (command,) = docker("CMD")
    served = [*json.loads(command)[:-1], str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *served, "--log-level=warning"],
        cwd=LIBRARY,
        env={
            **environ,
            "DJANGO_SETTINGS_MODULE": "patient",
            "PYTHONPATH": os.pathsep.join((environ["PYTHONPATH"], str(tmp_path))),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        page = answer(f"http://127.0.0.1:{port}/")
        assert "<h1>0 books</h1>" in page
        assert answer(f"http://127.0.0.1:{port}/export/") == ""
        assert json.loads(answer(f"http://127.0.0.1:{port}/api/books/")) == []
        with pytest.raises(urllib.error.HTTPError, match="404") as missing:
            answer(f"http://127.0.0.1:{port}/authors/0/")
        missing.value.close()
    finally:
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=30)[1]
    # uvicorn ends as it was told to: by the signal.
    assert process.returncode in (0, -signal.SIGINT), errors
    assert errors == ""


def answer(url: str) -> str:
    """Return what the server says, once it has started."""
    deadline = time.monotonic() + START
    request = urllib.request.Request(url, headers={"Accept": "application/json, */*"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=START) as response:
                return response.read().decode()
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


# --- no Docker here: what its files name has to exist -----------------------------------


def docker(instruction: str) -> list[str]:
    lines = (LIBRARY / "Dockerfile").read_text().splitlines()
    return [
        line.removeprefix(f"{instruction} ")
        for line in lines
        if line.startswith(f"{instruction} ")
    ]


def test_the_container_has_all_that_the_project_is_made_of() -> None:
    copied = {name for line in docker("COPY") for name in shlex.split(line)[:-1]}
    assert all((LIBRARY / name).exists() for name in copied)
    made_of = {each.name for each in LIBRARY.iterdir() if each.name != "__pycache__"}
    only_outside = {"Dockerfile", "compose.yaml", ".dockerignore", "README.md"}
    assert copied == made_of - only_outside


def test_its_requirements_are_installed() -> None:
    for line in (LIBRARY / "requirements.txt").read_text().splitlines():
        requirement = Requirement(line)
        if requirement.name == "django-async-fast":
            continue
        found = version(requirement.name)
        assert requirement.specifier.contains(found, prereleases=True), line


def test_compose_starts_the_services_in_order() -> None:
    import yaml

    services: dict[str, Any]
    services = yaml.safe_load((LIBRARY / "compose.yaml").read_text())["services"]
    for service in services.values():
        assert service.keys() & {"image", "build"}
        for name, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert "healthcheck" in services[name]
            else:
                assert wanted["condition"] == "service_completed_successfully"
                assert services[name]["command"][1] == "manage.py"
    port = json.loads(docker("CMD")[0])[-1]
    assert services["web"]["ports"] == [f"8000:{port}"]
    assert docker("EXPOSE") == [port]
    database = services["database"]["environment"]
    assert services["web"]["environment"]["PGUSER"] == database["POSTGRES_USER"]
    assert services["web"]["environment"]["PGPASSWORD"] == database["POSTGRES_PASSWORD"]
