"""Whether `__aexit__` may await: not where its coroutine is being closed.

`coroutine.close()` and `asyncgen.aclose()` both raise GeneratorExit, but only
who calls `aclose()` awaits what the generator awaits then. They differ in where
it is raised: a coroutine is closed where it awaits something, an asynchronous
generator at its `yield`.
"""

import dis
import inspect
from types import FrameType

RESUME = dis.opmap["RESUME"]

# What RESUME says that a frame was suspended in (documented in `dis`); the
# other bits of its argument are flags.
AFTER_YIELD, MASK = 1, 3


def being_closed(exc: BaseException | None) -> bool:
    """Tell whether `exc`, given to an `__aexit__`, closes the calling coroutine."""
    if not isinstance(exc, GeneratorExit):
        return False
    last = exc.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return True  # given by hand: then nothing is lost without awaiting
    suspended = _suspended_in(last.tb_frame, last.tb_lasti)
    if suspended is None:
        return False  # raised by a statement
    generator = last.tb_frame.f_code.co_flags & inspect.CO_ASYNC_GENERATOR
    return not (generator and suspended == AFTER_YIELD)


def _suspended_in(frame: FrameType, instruction: int) -> int | None:
    """Return what RESUME says of the point where `frame` goes on, or None."""
    code = frame.f_code.co_code
    # Before 3.13 the frame still stands at its YIELD_VALUE.
    for at in (instruction, instruction + 2):
        if code[at : at + 1] == bytes((RESUME,)):
            return code[at + 1] & MASK
    return None
