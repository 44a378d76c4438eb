/* The whole contract between rust/ and native/: one function pointer per query.
 *
 * rust/ puts a pointer to this struct into a PyCapsule named ROW_DECODER_CAPSULE;
 * the capsule's Python owner keeps the struct and ctx alive. */
#ifndef DJANGO_ASYNC_FAST_ROW_DECODER_H
#define DJANGO_ASYNC_FAST_ROW_DECODER_H

#include <Python.h>
#include <stdint.h>

#define ROW_DECODER_CAPSULE "django_async_fast._decode.RowDecoder"
#define ROW_DECODER_ABI 1

typedef struct {
    uint32_t abi;     /* ROW_DECODER_ABI */
    uint32_t columns; /* how many references decode_row writes */
    void *ctx;
    /* Decode row `row` of the libpq result `result` into out[0..columns): new
     * references. Returns 0; or -1 with a Python exception set and no reference
     * handed over. Needs the GIL. Never unwinds. */
    int (*decode_row)(void *ctx, const void *result, int row, PyObject **out);
} row_decoder;

#endif
