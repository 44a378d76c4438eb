/* A callback for changes of dictionaries, which CPython has from 3.12 on. */
#include <Python.h>

#if PY_VERSION_HEX >= 0x030C0000
#define add_dict_watcher(callback) PyDict_AddWatcher((PyDict_WatchCallback)(callback))
#define take_error() PyErr_GetRaisedException()
#define put_error_back(error) PyErr_SetRaisedException(error)
#else
#define PyDict_EVENT_DEALLOCATED 0
#define PyDict_Watch(watcher, dict) 0
#define add_dict_watcher(callback) (PyErr_SetNone(PyExc_RuntimeError), -1)
#define take_error() NULL
#define put_error_back(error) ((void)(error))
#endif
