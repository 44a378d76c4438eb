"""`bulk_create()` and `bulk_update()`, whose values go as one binary array a column.

In: what Django would write, and the fields.
Out: Django's INSERT, or an UPDATE that joins the arrays.
Next: `rust/src/array_of.rs` makes an array, `drivers/psycopg/statement.py` sends them.
"""
