"""Run another project's tests, in its folder, in one of the modes of `inside.py`.

    PYTHONPATH=/path/to/this python -m tools.conformance.elsewhere request -m pytest

What comes after the mode is a script or, after `-m`, a module, with its arguments.
"""

import asyncio
import os
import runpy
import sys
from functools import partial
from pathlib import Path
from typing import Any

from tools.conformance import inside
from tools.conformance.recording import counts


def main(mode: str, arguments: list[str]) -> None:
    # A project may have tests of its own by the name of ours.
    here = Path(__file__).parents[2]
    sys.path[:] = [str(Path.cwd()), *(at for at in sys.path if Path(at) != here)]
    run = partial(_run, arguments)
    if mode != "stock":
        inside.install_after_setup(mode)
    if mode in ("stock", "sync"):
        run()
    else:
        asyncio.run(_in_a_block(run, shared=mode == "request"))


def _run(arguments: list[str]) -> None:
    is_module = arguments[0] == "-m"
    sys.argv = arguments[is_module:]
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


async def _in_a_block(run: Any, shared: bool) -> None:
    import django

    from django_async_fast import bridge

    inside.keep_sync_code_on(asyncio.get_running_loop(), lambda: True)
    setup = django.setup

    def setup_and_enter(*args: Any, **kwargs: Any) -> None:
        setup(*args, **kwargs)
        from django_async_fast.connections import blocks

        # Many configure their settings when their tests have begun.
        if blocks.entered_block.get() is None:
            block = blocks.Block(force_rollback=False, where=None, shared=shared)
            blocks.entered_block.set(block)

    django.setup = setup_and_enter
    try:
        await bridge.run(run)
    except SystemExit as end:
        print(dict(counts), flush=True)
        # Tests leave tasks and connections behind; their result is what counts.
        os._exit(end.code if isinstance(end.code, int) else bool(end.code))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
