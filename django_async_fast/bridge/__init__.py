"""Run synchronous code on the event loop: where it would block, the loop awaits."""

from greenlet import GreenletExit as GreenletExit
from greenlet import getcurrent as getcurrent

from .background_tasks import begin_task as begin_task
from .caller import awaiting_frame as awaiting_frame
from .caller import begin_call as begin_call
from .caller import can_wait as can_wait
from .caller import current_call as current_call
from .caller import current_loop as current_loop
from .caller import enclosing_call as enclosing_call
from .caller import get_in_call_context as get_in_call_context
from .caller import in_bridge as in_bridge
from .caller import in_call_context as in_call_context
from .caller import in_coroutine as in_coroutine
from .caller import serves as serves
from .caller import task_here as task_here
from .calls import Call as Call
from .calls import outer_call as outer_call
from .driving import drive as drive
from .driving import drive_alone as drive_alone
from .frames import frames_of as frames_of
from .running import run as run
from .thread_local_values import thread_locals as thread_locals
from .waiting import BridgeError as BridgeError
from .waiting import await_ as await_
from .waiting import await_in_line as await_in_line
from .workers import BRIDGE as BRIDGE
from .workers import Worker as Worker
