"""A process that ends in the middle of a query says nothing: greenlet has ended before."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

BEGINNING = """
import asyncio, sys

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django_async_fast", "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
)
django.setup()
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db.models.expressions import RawSQL
from django_async_fast import new_connection, run_sync

call_command("migrate", verbosity=0)
ContentType.objects.bulk_create(ContentType(model=str(i)) for i in range(500))
rows = ContentType.objects.all()
kept = []
"""

# A generator that outlives its block, and a task whose loop has gone.
STREAM = """
def begin():
    kept.append(rows.iterator(chunk_size=10))
    next(kept[0])

async def main():
    async with new_connection():
        await run_sync(begin)

asyncio.run(main())
"""
TASK = '''
SLOW = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)
    SELECT n FROM numbers WHERE n = 1000000000
"""

async def read():
    async with new_connection():
        async for row in rows.annotate(slow=RawSQL(SLOW, ())).aiterator():
            pass

loop = asyncio.new_event_loop()
task = loop.create_task(read())
task._log_destroy_pending = False
loop.run_until_complete(asyncio.sleep(0.1))
loop.close()
'''


@pytest.mark.parametrize("ending", [STREAM, TASK], ids=["stream", "task"])
async def test_nothing_is_said_of_what_is_left_unfinished(
    ending: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", BEGINNING + ending, str(tmp_path / "db")]
    ended = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
