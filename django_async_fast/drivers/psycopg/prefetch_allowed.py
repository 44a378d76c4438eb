"""Whether a server would let nobody see that a chunk was read before it was asked for.

Asked in one statement, of the session that a stream is read in, when its first full
chunk has arrived: small results never pay for it.
"""

from collections.abc import Generator
from typing import Any, NamedTuple

from psycopg import errors, generators, pq

from .plain_queries import Reads

FATAL_ERROR = pq.ExecStatus.FATAL_ERROR

# A chunk that nobody takes from the socket is a statement that goes on.
_ASK_ABOUT_CHUNKS = b"""
    SELECT
        current_setting('statement_timeout') = '0'
        AND current_setting('tcp_user_timeout') = '0',
        false,
        false
"""

# PostgreSQL 17 has transaction_timeout. A serializable transaction is told by what it
# has read. What a view does, a policy, a column that is computed when it is read, a
# function that is written as a column, or a server behind this one, nobody knows; nor
# whether a collation of the project's own can match patterns.
_ASK_ABOUT_ALL = b"""
    SELECT
        current_setting('statement_timeout') = '0'
        AND current_setting('tcp_user_timeout') = '0',
        current_setting('idle_in_transaction_session_timeout') = '0'
        AND coalesce(current_setting('transaction_timeout', true), '0') = '0',
        current_setting('transaction_isolation') <> 'serializable'
        AND cardinality(tables) = (
            SELECT count(*) FROM pg_class
            WHERE oid = ANY (tables) AND NOT relrowsecurity AND CASE relkind
                WHEN 'r' THEN NOT relhassubclass
                WHEN 'm' THEN true
                WHEN 'p' THEN (
                    SELECT bool_and(part.relkind <> 'f')
                    FROM pg_partition_tree(pg_class.oid) AS tree
                    JOIN pg_class AS part ON part.oid = tree.relid
                )
                ELSE false
            END
        )
        AND (
            SELECT count(DISTINCT attname) = cardinality(columns)
                AND bool_and(attgenerated <> 'v' AND attcollation < 16384)
            FROM pg_attribute
            WHERE attrelid = ANY (tables) AND attname = ANY (columns)
        )
    FROM (
        SELECT
            ARRAY(
                SELECT to_regclass(name)::oid
                FROM unnest(string_to_array($1, E'\\n')) AS name
            ) AS tables,
            string_to_array($2, E'\\n')::name[] AS columns
        OFFSET 0
    ) AS given
"""


class Allowed(NamedTuple):
    """What nobody sees: a chunk in flight, an open transaction, tables read ahead."""

    chunks: bool
    transactions: bool
    tables: bool


def ask(connection: Any, reads: Reads | None) -> Allowed:
    """Ask the connection's session. Needs its lock; `reads` are a plain query's."""
    status = connection.pgconn.parameter_status
    if {status(b"server_encoding"), status(b"client_encoding")} != {b"UTF8"}:
        return Allowed(False, False, False)  # a value may be without one in the other
    return Allowed(*connection.wait(_asking(connection.pgconn, reads)))


def _asking(pgconn: Any, reads: Reads | None) -> Generator[Any, Any, list[bool]]:
    if reads is None:
        pgconn.send_query_params(_ASK_ABOUT_CHUNKS, None)
    else:
        given = ["\n".join(each).encode() for each in reads]
        pgconn.send_query_params(_ASK_ABOUT_ALL, given)
    (result,) = yield from generators.execute(pgconn)
    if result.status == FATAL_ERROR:
        raise errors.error_from_result(result)
    return [result.get_value(0, column) == b"t" for column in range(3)]
