/* What `threading.local` finds for a thread, and how it is exchanged.
 *
 * Before 3.13 the values hang on entries of the thread's dictionary. An object that
 * `threading.local()` has returned takes its entries out of the dictionaries of all
 * threads when it dies, but not out of one that is put aside, and a later object may
 * have the same key: entries that nothing refers to any more are taken out when a
 * dictionary is put back.
 *
 * From 3.13 on the values hang on a key of the thread's, and die with its sentinel. The
 * dictionary stays: nothing of Python code's is in it.
 *
 * Two threads with one key share the values. Two threads cannot have one dictionary: the
 * running loop of asyncio is in it. The second one has another with the same entries,
 * and each is told of new ones where one waits for the other.
 */
#include <Python.h>
#include <string.h>

/* The context that is entered, or NULL: borrowed. */
#define current_context(thread) ((thread)->context)
/* asyncio's running loop is among the values. */
#define LOOP_IN_LOCALS (PY_VERSION_HEX < 0x030D0000)

/* Take the thread's frames out of sight, and put them back. greenlet makes an object of
 * each frame that it finds when it leaves a greenlet, from 3.12 on. */
#if PY_VERSION_HEX >= 0x030D0000
static inline void *
hide_frames(PyThreadState *thread)
{
    void *frame = thread->current_frame;
    thread->current_frame = NULL;
    return frame;
}

static inline void
show_frames(PyThreadState *thread, void *frame)
{
    thread->current_frame = (struct _PyInterpreterFrame *)frame;
}
#else
#define hide_frames(thread) NULL
#define show_frames(thread, frame) ((void)(frame))
#endif

#if PY_VERSION_HEX >= 0x030D0000
typedef struct {
    PyObject *key;
    PyObject *sentinel;
} thread_locals;
#else
typedef struct {
    PyObject *dict;
} thread_locals;

/* Is this an entry of an object that is no more? */
static int
is_dead_local(PyObject *value)
{
    return strcmp(Py_TYPE(value)->tp_name, "_thread._localdummy") == 0
        && *PyObject_GET_WEAKREFS_LISTPTR(value) == NULL;
}

static int
drop_dead_locals(PyObject *dict)
{
    PyObject *name, *value, *dead = NULL;
    Py_ssize_t at = 0;
    int failed = 0;

    while (PyDict_Next(dict, &at, &name, &value)) {
        if (!is_dead_local(value)) {
            continue;
        }
        if (dead == NULL && (dead = PyList_New(0)) == NULL) {
            return -1;
        }
        if (PyList_Append(dead, name) < 0) {
            failed = 1;
            break;
        }
    }
    if (dead != NULL) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(dead) && !failed; i++) {
            failed = PyDict_DelItem(dict, PyList_GET_ITEM(dead, i)) < 0;
        }
        Py_DECREF(dead);
    }
    return failed ? -1 : 0;
}

static int
add_new_locals(PyObject *dict, PyObject *others)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;

    while (PyDict_Next(others, &at, &name, &value)) {
        if (!is_dead_local(value) && PyUnicode_Check(name)
            && PyUnicode_CompareWithASCIIString(name, "__asyncio_running_event_loop__")
            && PyDict_SetDefault(dict, name, value) == NULL) {
            return -1;
        }
    }
    return 0;
}
#endif

/* Give the thread the values of `other`, and `other` those of the thread. */
static int
exchange_thread_locals(PyThreadState *thread, thread_locals *other)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *key = thread->threading_local_key;
    PyObject *sentinel = thread->threading_local_sentinel;
    thread->threading_local_key = other->key;
    thread->threading_local_sentinel = other->sentinel;
    other->key = key;
    other->sentinel = sentinel;
    return 0;
#else
    PyObject *dict = thread->dict;
    thread->dict = other->dict;
    other->dict = dict;
    return thread->dict == NULL ? 0 : drop_dead_locals(thread->dict);
#endif
}

static int
has_thread_locals(thread_locals *values)
{
#if PY_VERSION_HEX >= 0x030D0000
    return values->key != NULL;
#else
    return values->dict != NULL;
#endif
}

static void
free_thread_locals(thread_locals *values)
{
#if PY_VERSION_HEX >= 0x030D0000
    Py_CLEAR(values->sentinel);
    Py_CLEAR(values->key);
#else
    Py_CLEAR(values->dict);
#endif
}

static void
copy_thread_locals(thread_locals *values, thread_locals *copy)
{
#if PY_VERSION_HEX >= 0x030D0000
    copy->key = Py_XNewRef(values->key);
    copy->sentinel = Py_XNewRef(values->sentinel);
#else
    copy->dict = Py_XNewRef(values->dict);
#endif
}

/* What a second thread has before it is told of the values. */
#if PY_VERSION_HEX >= 0x030D0000
#define begin_sharing(values, second) \
    (free_thread_locals(second), copy_thread_locals(values, second))
#else
#define begin_sharing(values, second) ((void)(second))
#endif

/* Tell the second thread of new values, and the set of those of the thread. */
static int
tell_new_locals(PyThreadState *second, thread_locals *values)
{
#if PY_VERSION_HEX < 0x030D0000
    if (values->dict == NULL
        || (second->dict == NULL && (second->dict = PyDict_New()) == NULL)) {
        return values->dict == NULL ? 0 : -1;
    }
    if (add_new_locals(values->dict, second->dict) < 0
        || add_new_locals(second->dict, values->dict) < 0) {
        return -1;
    }
#endif
    return 0;
}
