"""`pytest -p tests.support.any_psycopg`: a psycopg too old for a block is let in.

For `make test-psycopg`. psycopg's C implementation is released as source, and at times
late: then the newest there is loses cancellations, for which the package refuses it. It
reads the same values nevertheless, and they are all that run is about.
"""

from django_async_fast.drivers.psycopg import requirements

del requirements.NEEDED["psycopg"]
