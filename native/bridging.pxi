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
    object PyLong_FromVoidPtr(void *pointer)
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

    def __init__(self, Bridge bridge not None, *, current_task):
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

    def __init__(
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


@cython.final
cdef class Routes:
    """Finds the wrapper for a statement of a block, connected if it can be.

    `entered_block` is the context variable of this name; `wrapper_for` finds it in any
    case. A block's first connection is taken as Django has taken the one before:
    `connections` and `created` are Django's, of these the signal; `forks` are the globals
    of `drivers/forks.py`; `wait` waits for a connection of the pool, `take` uses one that
    `hidden` does not. Nothing may be waited for between this and the statement.
    """

    def __init__(
        self, Bridge bridge not None, HiddenWrappers hidden not None, *, entered_block,
        wrapper_for, connections, created, dict forks, wait, take,
    ):
        self.bridge = bridge
        self.hidden = hidden
        self.entered_block = entered_block
        self.wrapper_for = wrapper_for
        self.connections = connections
        self.created = created
        self.forks = forks
        self.wait = wait
        self.take = take

    cdef object wrapper(self, alias):
        block = value_of(self.entered_block)
        if block is None or not block.open:
            return self.wrapper_for(alias)
        worker = self.bridge.waiting_worker()
        if worker is None or worker.loop is not block.loop:
            return self.wrapper_for(alias)
        return self.of_block(block, alias)

    cpdef object of_block(self, block, alias):
        """Return the wrapper for a statement that is about to be sent in `block`.

        It may be one that nobody has seen: what tools are shown is its visible one.
        """
        connected = self.built(block, alias)
        if connected is not None:
            return connected
        found = block.wrapper(alias)
        kind = type(found)
        # Perhaps that of another alias: `connections["a"] = connections["b"]`.
        if (
            getattr(kind, "built", None) is not False
            or not block.open
            or block.force_rollback
            or kind.for_alias != alias
        ):
            return found
        replay = kind.replayed_connects.get(alias)
        if replay is None or not self.is_for(replay, self.connections.settings[alias]):
            return found
        entry = self.pool(replay, block.loop, alias)
        if entry is None:
            return found
        session = entry.take_at_once(entry.pool)
        if session is None:
            return self.wait(block, alias, found, replay, entry)
        if not self.created.receivers:
            connected = self.hidden.connect(found, replay, entry, session, None)
        if connected is None:
            return self.take(block, found, replay, entry, session)
        return connected

    cdef bint is_for(self, replay, settings) except -1:
        watch = replay.watch
        if changes != 0 and watch is not None and settings is replay.settings:
            return is_right(<ClassWatch?> watch)
        return replay.is_for(settings)

    cdef object pool(self, replay, loop, alias):
        """What is kept for the open pool of a loop and an alias; None if none is open."""
        entry = replay.last_pool()
        if (
            entry is None
            or entry.loop is not loop
            or entry.forgotten
            or entry.forks != self.forks["_forks"]
        ):
            entry = replay.pool(loop, alias)
            if entry is not None:
                replay.last_pool = ref(entry)
        return entry

    cdef object built(self, block, alias):
        """The wrapper of a block that is connected; None for another."""
        cdef PyObject *found = PyDict_GetItemWithError(<dict?> block.wrappers, alias)
        if found is NULL:
            return None
        wrapper = <object> found
        built = getattr(type(wrapper), "built", None)
        if built is True:
            return wrapper
        if built is False:
            # Not by its class's way, which would build it.
            return (<tuple?> PyObject_GenericGetAttr(wrapper, "_arguments"))[4]
        return None


@cython.final
cdef class Turns:
    """Takes a gate that is free, for a call that is the only one of its block.

    `entered_scope` and `outer_call` are the context variables of these names.
    """

    def __init__(self, Bridge bridge not None, *, entered_scope, outer_call):
        self.bridge = bridge
        self.entered_scope = entered_scope
        self.outer_call = outer_call

    def take(self, gate):
        """Take `gate` for a statement; return False where others are to be asked."""
        worker = self.bridge.getcurrent()
        return type(worker) is self.bridge.worker and self.take_for(gate, worker, True)

    cdef bint take_for(self, gate, worker, bint inside=False) except -1:
        """Take `gate` for a call that `worker` serves; False as `take()`.

        Its code asks that `inside` of it, else it has not begun.
        """
        scope = gate.innermost
        entered = value_of(self.entered_scope)
        if (
            gate.busy
            or not scope.open
            or scope is not (gate.root if entered is None else entered)
        ):
            return False
        if inside and entered is not None and not self.bridge.in_call_context(worker):
            # In a context of its own, it may have entered more than is seen there.
            return False
        units = gate.units
        calls = units.calls
        if not calls:
            # The first statement of most calls.
            if worker.call is not None or value_of(self.outer_call) is not None:
                return False
            units.calls = [worker]
            worker.held_gate = gate
        elif (<list> calls)[len(<list> calls) - 1] is not worker:
            return False
        elif worker.held_gate is not gate:
            return False
        gate.busy = True
        return True


cdef int release(gate) except -1:
    """Let the next statement through."""
    gate.busy = False
    if gate.waiting or gate.units.waiting:
        gate.release()
    return 0


@cython.final
cdef class Readable:
    """What the loop calls when a channel may be read: most answers are there, whole.

    `ready` is what psycopg's operations are told then.
    """

    def __init__(self, channel, ready):
        self.channel = channel
        self.ready = ready

    def __call__(self):
        cdef PyObject *found = NULL
        cdef PySendResult outcome
        channel = self.channel
        gen, future = channel._gen, channel._future
        if gen is None or (<Wait?> future).state != PENDING:
            return channel.readable()
        outcome = PyIter_Send(<PyObject *> gen, <PyObject *> self.ready, &found)
        if outcome == PYGEN_NEXT:
            return channel.advance(self.ready, steal_reference(found))
        value = error = None
        if outcome == PYGEN_RETURN:
            value = steal_reference(found)
        else:
            try:
                propagate_error()
            except BaseException as exc:
                error = exc
        # Not while an exception is handled: a task may go on from here.
        if (
            error is not None
            or channel._timer is not None
            or channel._writing
            or channel._pgconn.status == BAD
        ):
            return channel.settle(value, error)
        channel._gen = channel._future = None
        (<Wait> future).resolve(value)


@cython.final
cdef class RoundTrips:
    """Waits for the operations of a block's connection, where nothing is unusual.

    `view` is the class of these connections, whose methods are its own while `watch`
    holds; `names` are the globals of its module, `reads` is what an operation yields
    that waits to read.
    """

    def __init__(
        self, Bridge bridge not None, Turns turns not None, *, view,
        ClassWatch watch not None, dict names, long reads,
    ):
        self.bridge = bridge
        self.turns = turns
        self.view = view
        self.watch = watch
        self.names = names
        self.reads = reads

    cdef object run(self, raw, gen):
        """Do as `with raw.lock: return raw.wait(gen)`."""
        if type(raw) is not self.view or not is_right(self.watch):
            with raw.lock:
                return raw.wait(gen)
        gate = raw.gate
        if not self.turns.take(gate):
            gate.acquire()
        try:
            # Perhaps while we waited: now the session may be another block's.
            if raw.returned or raw.unsettled:
                raw.settle()
            return self.wait(raw, gen)
        finally:
            release(gate)

    cdef object wait(self, raw, gen):
        cdef RoundTrip trip
        session = raw.session
        if (
            session.channel is None
            or session.forks != self.names["_forks"]
            or self.bridge.waiting_worker() is None
        ):
            return raw.wait(gen)
        trip = RoundTrip.__new__(RoundTrip)
        trip.raw, trip.channel, trip.gen = raw, session.channel, gen
        trip.begin(self)
        return trip.result(self.bridge)

    cdef object future(self, channel, pgconn, gen, wants):
        cdef Wait future
        if wants != self.reads or not channel._reading or pgconn.status == BAD:
            return channel.drive(gen, wants)
        future = Wait.__new__(Wait)
        future.loop = channel._loop
        channel._gen = gen
        channel._future = future
        return future


@cython.freelist(8)
cdef class RoundTrip:
    """An operation of a connection: `begin()` sends it, and a worker has its result.

    `wait` is what is awaited for it; `error` with which that, or the beginning, ended.
    """

    cdef int begin(self, RoundTrips trips) except -1:
        cdef PyObject *found = NULL
        cdef PySendResult outcome
        pgconn = self.raw.pgconn
        self.before = pgconn.transaction_status
        outcome = PyIter_Send(<PyObject *> self.gen, <PyObject *> None, &found)
        try:
            if outcome == PYGEN_ERROR:
                propagate_error()
            elif outcome == PYGEN_RETURN:
                self.value = steal_reference(found)
            else:
                self.wants = steal_reference(found)
                self.wait = trips.future(self.channel, pgconn, self.gen, self.wants)
        except BaseException as error:
            self.error = error
        return 0

    cdef object result(self, Bridge bridge):
        """What it has returned, once a worker has waited for that."""
        error, self.error = self.error, None
        if self.wants is None:
            if error is None:
                return self.value
            self.raw.begin_failed(error)
            raise error
        try:
            if error is not None:
                raise error
            return bridge.getcurrent().parent.switch(self.wait)
        except BaseException as exc:
            if isinstance(exc, bridge.greenlet_exit):
                bridge.getcurrent().abandoned = True
            self.raw.wait_failed(self.gen, self.channel, exc, self.before)
            raise
