# The straight way of a bridged call: into its greenlet, and out to whoever awaits.
#
# In: a worker, or a gate or connection of a block's. Out: what the worker waits for; or
# that something is not as usual, which Python code sees to.
# Next: `waiting.pxi`.

from weakref import ref

cdef extern from "thread_locals.h":
    bint LOOP_IN_LOCALS
    PyObject *current_context(PyThreadState *thread) noexcept
    void *hide_frames(PyThreadState *thread) noexcept
    void show_frames(PyThreadState *thread, void *frame) noexcept


cdef extern from "Python.h":
    object PyObject_GenericGetAttr(object obj, object name)
    void PyErr_Clear() noexcept
    PyObject *PyObject_CallOneArg(PyObject *function, PyObject *argument) noexcept
    int PyContextVar_Get(object variable, PyObject *default, PyObject **value) except -1


cdef inline object value_of(variable):
    """What a context variable is here, or None."""
    cdef PyObject *value
    PyContextVar_Get(variable, <PyObject *> None, &value)
    return steal_reference(value)


@cython.final
cdef class Bridge:
    """Resumes workers, where they need neither be timed nor told of an error.

    `names` are the globals of `bridge/workers.py`; `resume` and `finish` do what is
    done here in any case. No more than `idle` workers rest. The other arguments are
    greenlet's and asyncio's, by their names; `swap_current_task` is None where no task
    is hidden.
    """

    def __init__(
        self, *, dict names, resume, worker, getcurrent, get_running_loop,
        set_running_loop, swap_current_task, greenlet_exit, finish, Py_ssize_t idle,
    ):
        self.names = names
        self.resume = resume
        self.worker = worker
        self.getcurrent = getcurrent
        self.get_running_loop = get_running_loop
        self.set_running_loop = set_running_loop
        self.swap_current_task = swap_current_task
        self.greenlet_exit = greenlet_exit
        self.finish = finish
        self.idle = idle

    def go_on(self, worker, loop, value):
        """Let `worker` go on with `value`; return what it waits for then."""
        cdef PyThreadState *thread = PyThreadState_Get()
        if PyThreadState_GetID(thread) == self.counted:
            self.steps += 1
        own = worker.locals
        if self.names["timed_step"] is not None or (own is not None and LOOP_IN_LOCALS):
            return self.resume(worker, loop, worker.switch, value)
        here = self.getcurrent()
        # Both can differ from one step to the next: a coroutine may be driven by
        # another task, or inside somebody else's greenlet.
        if worker.parent is not here:
            worker.parent = here
        context = worker.call_context
        cdef PyObject *current = current_context(thread)
        if current is NULL:
            current = <PyObject *> None
        # Else `Context.run()` must find its own.
        if current != <PyObject *> context and worker.gr_context is context:
            worker.gr_context = worker.call_context = <object> current
        # Synchronous code must find itself in the synchronous world.
        running = self.get_running_loop()
        hides = self.swap_current_task is not None and running is not None
        if hides:
            worker.hidden_task = self.swap_current_task(running, None)
        self.set_running_loop(None)
        try:
            if own is None:
                return worker.switch(value)
            return own.call(worker.switch, value)
        finally:
            self.set_running_loop(running)
            if hides:
                self.swap_current_task(running, worker.hidden_task)
                worker.hidden_task = None  # else the task, which has it, has itself

    def count_steps(self):
        """Count in `steps` those of this thread, and of no other; return its number."""
        self.counted = PyThreadState_GetID(PyThreadState_Get())
        return self.counted

    def call_unseen(self, function, argument):
        """Call `function`, a Python function, as if it had been called from nowhere."""
        cdef PyThreadState *thread = PyThreadState_Get()
        cdef void *frame = hide_frames(thread)
        cdef PyObject *found = PyObject_CallOneArg(
            <PyObject *> function, <PyObject *> argument
        )
        show_frames(thread, frame)
        if found is NULL:
            propagate_error()
        return steal_reference(found)

    def end(self, worker, list idle not None):
        """Return what `worker` has returned, and have it rest among `idle`."""
        if worker.failure is not None or worker.abandoned or len(idle) >= self.idle:
            return self.finish(worker, idle)
        outcome = worker.outcome
        worker.outcome = worker.gr_context = worker.call_context = None
        if worker.locals is not None:
            worker.locals = worker.idle_workers = None
        idle.append(worker)
        return outcome

    def call_for_driven(self, worker, list call not None):
        """Make a call for a driven coroutine, whose own greenlet it may stop."""
        self.end_call(worker)  # what the coroutine has called before
        task, worker.task = worker.task, None
        self.hide_loop(worker)
        try:
            function, args, kwargs = call.pop(), call.pop(), call.pop()
            return function(*args, **kwargs)
        finally:
            self.end_call(worker)
            worker.task = task
            self.show_loop(worker)

    cpdef end_call(self, worker):
        """End the call of `worker`: what it holds goes to the next."""
        gate = worker.held_gate
        if gate is None:
            if worker.call is not None:
                worker.end_call()
            return
        units = gate.units
        calls = units.calls
        if (
            len(calls) != 1 or calls[0] is not worker or gate.waiting or units.waiting
        ):
            return worker.end_call()
        # It was the only one, and nobody waits for it.
        worker.held_gate = None
        (<list?> calls).clear()

    cdef object show_loop(self, worker):
        self.set_running_loop(worker.loop)
        if self.swap_current_task is not None:
            self.swap_current_task(worker.loop, worker.hidden_task)

    cdef object hide_loop(self, worker):
        if self.swap_current_task is not None:
            self.swap_current_task(worker.loop, None)
        self.set_running_loop(None)

    cdef bint in_call_context(self, worker) except -1:
        cdef PyObject *current = current_context(PyThreadState_Get())
        context = worker.call_context
        return current == <PyObject *> context or (current is NULL and context is None)

    cdef object waiting_worker(self):
        """The worker that may be stopped here, None where more is to be asked."""
        worker = self.getcurrent()
        if (
            type(worker) is not self.worker
            or worker.task is not None
            or worker.abandoned
            or self.get_running_loop() is not None
        ):
            return None
        return worker


@cython.final
cdef class Caller:
    """Tells whether whoever calls may wait. `current_task` is asyncio's."""

    def __cinit__(self, Bridge bridge not None, *, current_task):
        self.bridge = bridge
        self.current_task = current_task

    def in_bridge(self):
        """Tell whether the caller may use `await_()`."""
        return self.waits_by(self.current())

    def can_wait(self):
        """Tell whether `await_()` would wait: on the bridge, and somebody drives it."""
        worker = self.current()
        return self.waits_by(worker) and not worker.abandoned

    def serves(self, loop):
        """Tell whether the caller may use `await_()`, and `loop` is what it waits on."""
        worker = self.current()
        return self.waits_by(worker) and worker.loop is loop

    cdef object current(self):
        """The greenlet that runs; None where greenlet has ended with the process."""
        cdef PyObject *found = PyObject_CallNoArgs(<PyObject *> self.bridge.getcurrent)
        if found is NULL:
            PyErr_Clear()
            return None
        return steal_reference(found)

    cdef bint waits_by(self, worker) except -1:
        if type(worker) is not self.bridge.worker:
            return False
        running = self.bridge.get_running_loop()
        if worker.task is None:
            # Below `asyncio.run()` in synchronous code there is a loop that is not ours.
            return running is None
        # Below a driven coroutine. Not in the first step of another task, which an eager
        # task factory takes in there.
        loop = worker.loop
        if running is not loop:
            return False
        here = self.current_task(loop)
        return worker.task == PyLong_FromVoidPtr(<void *> <PyObject *> here)


@cython.final
cdef class DrivenSteps:
    """Takes the steps of a driven coroutine, until one has to be told of an error.

    `hand_on` makes of what the coroutine yields what the task is given, `go_on` takes
    the other steps. Both are of `bridge/driving.py`, `waiting_worker` of `waiting.py`.
    """

    def __cinit__(
        self, Bridge bridge not None, *, current_task, hand_on, go_on, waiting_worker
    ):
        self.bridge = bridge
        self.current_task = current_task
        self.hand_on = hand_on
        self.go_on = go_on
        self.waiting_worker = waiting_worker

    def drive_alone(self, coroutine):
        """Do as `drive()` where that is all that a `run()` does: no call is around it."""
        worker = self.bridge.waiting_worker()
        if worker is None:
            worker = self.waiting_worker(coroutine)
        return self.take(worker, coroutine)

    cpdef object take(self, worker, coroutine):
        """Run `coroutine` to its end in `worker`, which waits where it awaits."""
        cdef Bridge bridge = self.bridge
        cdef PyObject *found = NULL
        cdef PySendResult outcome
        cdef bint over = False
        task, driven = worker.task, worker.driven
        worker.driven = coroutine
        value = failure = None
        try:
            while failure is None:
                bridge.show_loop(worker)
                here = self.current_task(worker.loop)
                worker.task = PyLong_FromVoidPtr(<void *> <PyObject *> here)
                outcome = PyIter_Send(
                    <PyObject *> coroutine, <PyObject *> value, &found
                )
                if outcome != PYGEN_NEXT:
                    over = True
                    if outcome == PYGEN_ERROR:
                        propagate_error()
                    return steal_reference(found)
                here, value = None, steal_reference(found)
                # What the coroutine has called without awaiting it is over.
                bridge.end_call(worker)
                if worker.abandoned:
                    raise RuntimeError("coroutine ignored GeneratorExit")
                try:
                    value = worker.parent.switch(self.hand_on(value))
                except BaseException as exc:
                    if isinstance(exc, bridge.greenlet_exit):
                        worker.abandoned = True
                        raise
                    failure = exc
            value, failure = failure, None
            return self.go_on(worker, coroutine, value)
        finally:
            try:
                if not over:
                    coroutine.close()
            finally:
                bridge.end_call(worker)
                worker.task, worker.driven = task, driven
                if task is None:
                    bridge.hide_loop(worker)
                else:
                    bridge.show_loop(worker)
