"""The fixtures that compare stock Django with the package, in a project's own tests."""

import json
from pathlib import Path

import pytest

from tests.support.fresh_python import ended

pytest.importorskip("pytest_benchmark")
pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

SETTINGS = """
from tests.settings import *

DATABASES = {"default": DATABASES["default"]}
DATABASES["default"]["TEST"] = {"NAME": "django_async_fast_test_benchmark"}
ROOT_URLCONF = "urls"
ALLOWED_HOSTS = ["localhost"]
"""

URLS = """
from django.http import HttpResponse
from django.urls import path
from tests.testapp.models import Tag

def count(request):
    return HttpResponse(f"{Tag.objects.count()} {request.headers['x-name']}")

urlpatterns = [path("count", count)]
"""

TESTS = """
import pytest

@pytest.fixture
def Tag():
    from tests.testapp.models import Tag
    return Tag

def test_rows(bench_queryset, Tag):
    from django_async_fast.seams.installation import _applied
    Tag.objects.bulk_create(Tag(name=str(i)) for i in range(3))
    seams = []

    def make():
        seams.append(bool(_applied))
        return Tag.objects.order_by("name")

    bench_queryset(make, rounds=2, times=3)
    assert seams.count(True) == seams.count(False) == 3 * 4
    assert _applied

def test_page(bench_request, Tag):
    Tag.objects.create(name="a")
    bench_request("/count?a=b", headers={"X-Name": "me"}, rounds=2, times=1)

def test_other_answers(bench_queryset, Tag):
    made = iter(range(1_000))
    Tag.objects.bulk_create(Tag(name=str(i)) for i in range(9))
    with pytest.raises(AssertionError, match="stock Django answers"):
        bench_queryset(lambda: Tag.objects.all()[next(made) % 7 :], rounds=1, times=1)

@pytest.mark.parametrize("again", range(2))
async def test_the_tables_are_emptied(async_transactional_db, Tag, again):
    assert not await Tag.objects.aexists()
"""


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    pytester.makepyfile(
        project=SETTINGS,
        urls=URLS,
        test_project=TESTS,
        conftest='pytest_plugins = ["django_async_fast.benchmark"]',
    )
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "project")
    monkeypatch.setenv("PYTHONPATH", f"{pytester.path}:{ROOT}")
    return pytester


def test_both_sides_take_turns_and_are_shown_as_a_page(
    project: pytest.Pytester,
) -> None:
    options = ["-p", "no:django", "-p", "no:randomly", "-q", "--benchmark-autosave"]
    options += ["-o", "asyncio_mode=auto"]
    result = project.runpytest_subprocess(*options, timeout=200)
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["* x *.*  x *.*   test_project.py::test_page"])

    done = ended("-m", "django_async_fast.benchmark", cwd=project.path)
    assert done.stdout == "benchmarks.html: 1 runs\n"
    text = (project.path / "benchmarks.html").read_text()
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert set(data["cases"]) == {"querysets/rows", "requests/page"}
    (points,) = data["points"]["cpu"].values()
    assert set(points["requests/page"][0]["ratios"]) == {"django_async_fast"}


def test_without_runs_it_says_so(tmp_path: Path) -> None:
    done = ended("-m", "django_async_fast.benchmark", cwd=tmp_path)
    assert done.returncode == 1
    assert "--benchmark-autosave" in done.stderr
