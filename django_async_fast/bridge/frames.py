"""Where bridged calls wait: their frames, and those of who awaits them."""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Iterator
from types import CoroutineType, FrameType
from typing import Any

from .calls import Call
from .running import run
from .workers import Worker


def frames_of(call: Call) -> Iterator[FrameType]:
    """Yield the innermost frame of `call`, then those of who awaits it."""
    worker = call.worker
    if worker is None:
        return
    if worker.gr_frame is not None:
        yield worker.gr_frame
    for task in asyncio.all_tasks(worker.loop):
        frames = list(_awaiting_frames(task))
        if any(_runs(worker, frame) for frame in frames):
            yield from reversed(frames)


def waiting_frames(loop: AbstractEventLoop) -> Iterator[FrameType]:
    """Yield the innermost frame of each bridged call that waits on `loop`.

    Of driven coroutines, too. For who looks at a loop that stands still, in another
    thread.
    """
    for task in asyncio.all_tasks(loop):
        for frame in _awaiting_frames(task):
            worker = (
                frame.f_locals.get("worker") if frame.f_code is run.__code__ else None
            )
            if worker is None:
                continue
            if worker.gr_frame is not None:
                yield worker.gr_frame
            yield from _frames_of_awaitable(worker.driven)


def _awaiting_frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    yield from _frames_of_awaitable(task.get_coro())


def _frames_of_awaitable(awaitable: Any) -> Iterator[FrameType]:
    while isinstance(awaitable, CoroutineType):
        if awaitable.cr_frame is not None:
            yield awaitable.cr_frame
        awaitable = awaitable.cr_await


def _runs(worker: Worker, frame: FrameType) -> bool:
    return frame.f_code is run.__code__ and frame.f_locals.get("worker") is worker
