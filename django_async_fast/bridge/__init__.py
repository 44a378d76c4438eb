"""Run synchronous code on the event loop: where it would block, the loop awaits."""

from greenlet import GreenletExit, getcurrent

from .caller import (
    awaiting_frame,
    begin_call,
    can_wait,
    current_call,
    current_loop,
    enclosing_call,
    get_in_call_context,
    in_bridge,
    in_call_context,
    in_coroutine,
    serves,
    task_here,
)
from .calls import Call, outer_call
from .driving import drive, drive_alone
from .frames import frames_of
from .running import run
from .thread_local_values import thread_locals
from .waiting import BridgeError, await_
from .workers import BRIDGE, Worker

__all__ = [
    "BRIDGE",
    "BridgeError",
    "Call",
    "GreenletExit",
    "Worker",
    "await_",
    "awaiting_frame",
    "begin_call",
    "can_wait",
    "current_call",
    "current_loop",
    "drive",
    "drive_alone",
    "enclosing_call",
    "frames_of",
    "get_in_call_context",
    "getcurrent",
    "in_bridge",
    "in_call_context",
    "in_coroutine",
    "outer_call",
    "run",
    "serves",
    "task_here",
    "thread_locals",
]
