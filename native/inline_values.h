/* Attributes written where CPython itself keeps them: behind the instance's C struct.
 *
 * Since 3.13 an instance whose __dict__ nobody has asked for has no dict at all: its
 * values follow its struct, in places that its class gives to names once and for all.
 * Writing them there costs a third of PyDict_SetItem and saves the dict. The layout is
 * private, so it is used only in the versions named below, only for places that a probe
 * of the same class has shown, and only for an instance that is still empty. */
#ifndef DJANGO_ASYNC_FAST_INLINE_VALUES_H
#define DJANGO_ASYNC_FAST_INLINE_VALUES_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

/* CPython gives no class more places than this (SHARED_KEYS_MAX_SIZE). */
#define INLINE_PLACES 30

/* Where the attributes of one class go, in the order in which they are set. */
typedef struct {
    Py_ssize_t offset; /* of the values in the instance */
    uint8_t count;     /* 0: this class's instances are filled through their dict */
    uint8_t highest;
    uint8_t places[INLINE_PLACES];
} inline_places;

#if PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030F0000 \
    && !defined(Py_GIL_DISABLED)

/* `struct _dictvalues` of CPython's pycore_dict.h. The places in use follow the values,
 * a byte each, in the order of insertion. */
typedef struct {
    uint8_t capacity;
    uint8_t size;
    uint8_t embedded;
    uint8_t valid;
    PyObject *values[];
} inline_values;

/* A probe has shown this layout. */
static int layout_seen;

/* The still empty places of a new instance, marked as filled: write all of `places`
 * at once. NULL where its attributes must go through its dict. */
static inline PyObject **
take_inline_values(PyObject *obj, const inline_places *places)
{
    if (places->count == 0) {
        return NULL;
    }
    inline_values *found = (inline_values *)((char *)obj + places->offset);
    if (!found->valid || found->size || found->capacity <= places->highest) {
        return NULL;
    }
    memcpy(found->values + found->capacity, places->places, places->count);
    found->size = places->count;
    return found->values;
}

/* Whether a place holds what `test` is true of; -1 where the places are not to be seen. */
static inline int
any_inline_value(PyObject *obj, visitproc test)
{
    if (!layout_seen || !(Py_TYPE(obj)->tp_flags & Py_TPFLAGS_INLINE_VALUES)) {
        return -1;
    }
    inline_values *found = (inline_values *)((char *)obj + Py_TYPE(obj)->tp_basicsize);
    if (!found->valid) {
        return -1;
    }
    const uint8_t *order = (const uint8_t *)(found->values + found->capacity);
    for (uint8_t i = 0; i < found->size; i++) {
        PyObject *value = found->values[order[i]];
        if (value != NULL && test(value, NULL)) {
            return 1;
        }
    }
    return 0;
}

/* The values of an instance of the class that `places` is of, each in its place, NULL
 * for nothing; no values where its attributes are elsewhere. */
static inline PyObject **
inline_values_of(PyObject *obj, const inline_places *places)
{
    inline_values *found = (inline_values *)((char *)obj + places->offset);
    int known = places->count && found->valid && found->capacity > places->highest;
    return known ? found->values : NULL;
}

/* Set `names` to objects of their own in the dict of `probe`, and look for these. */
static int
fill_probe(PyObject *probe, PyObject *names, PyObject *marks, inline_places *places)
{
    Py_ssize_t count = PyTuple_GET_SIZE(names);
    PyObject *dict = PyObject_GenericGetDict(probe, NULL);
    if (dict == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *mark = PyTuple_GET_ITEM(marks, i);
        if (PyDict_SetItem(dict, PyTuple_GET_ITEM(names, i), mark) < 0) {
            Py_DECREF(dict);
            return -1;
        }
    }
    places->offset = Py_TYPE(probe)->tp_basicsize;
    inline_values *found = (inline_values *)((char *)probe + places->offset);
    const uint8_t *order = (const uint8_t *)(found->values + found->capacity);
    int known = found->embedded == 1 && found->valid == 1 && found->size == count
                && found->capacity <= INLINE_PLACES;
    for (Py_ssize_t i = 0; known && i < count; i++) {
        uint8_t place = order[i];
        known = place < found->capacity
                && found->values[place] == PyTuple_GET_ITEM(marks, i);
        places->places[i] = place;
        places->highest = place > places->highest ? place : places->highest;
    }
    places->count = known ? (uint8_t)count : 0;
    layout_seen = layout_seen || known;
    Py_DECREF(dict);
    return 0;
}

static int
can_hold_inline(PyObject *probe, PyObject *names)
{
    PyTypeObject *type = Py_TYPE(probe);
    return (type->tp_flags & Py_TPFLAGS_INLINE_VALUES) && type->tp_itemsize == 0
           && PyTuple_GET_SIZE(names) > 0 && PyTuple_GET_SIZE(names) <= INLINE_PLACES;
}

/* Find the places of `names` in instances of the class of `probe`, a new instance of it
 * that nobody else will see. No places (count 0) is an answer too. */
static int
find_inline_places(PyObject *probe, PyObject *names, PyObject *marks, inline_places *places)
{
    memset(places, 0, sizeof(*places));
    return can_hold_inline(probe, names) ? fill_probe(probe, names, marks, places) : 0;
}

#else

static inline PyObject **
take_inline_values(PyObject *Py_UNUSED(obj), const inline_places *Py_UNUSED(places))
{
    return NULL;
}

static inline PyObject **
inline_values_of(PyObject *Py_UNUSED(obj), const inline_places *Py_UNUSED(places))
{
    return NULL;
}

static inline int
any_inline_value(PyObject *Py_UNUSED(obj), visitproc Py_UNUSED(test))
{
    return -1;
}

static int
find_inline_places(PyObject *Py_UNUSED(probe), PyObject *Py_UNUSED(names),
                   PyObject *Py_UNUSED(marks), inline_places *places)
{
    memset(places, 0, sizeof(*places));
    return 0;
}

#endif
#endif
