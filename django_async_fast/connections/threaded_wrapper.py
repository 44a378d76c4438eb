"""The database wrapper of a block whose driver waits in a thread."""

from functools import partial
from typing import Any

from ..drivers import threaded
from .other_wrapper import OtherWrapper


class ThreadedWrapper(OtherWrapper):
    """Mixed into the backend's DatabaseWrapper."""

    def get_new_connection(self, conn_params: Any) -> Any:
        open_one = super().get_new_connection
        return threaded.connect(self.gate, partial(open_one, conn_params))

    def set_autocommit(self, *args: Any, **kwargs: Any) -> None:
        self.ensure_connection()
        raw = self.connection
        raw.may_be_in_transaction = True
        try:
            super().set_autocommit(*args, **kwargs)
        finally:
            raw.may_be_in_transaction = not self.autocommit

    def in_transaction(self) -> bool:
        return self.connection is None or self.connection.may_be_in_transaction
