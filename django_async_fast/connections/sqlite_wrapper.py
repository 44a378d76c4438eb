"""The database wrapper of a block for SQLite, whose calls are made on the loop."""

from typing import Any

from .other_wrapper import OtherWrapper


class SqliteWrapper(OtherWrapper):
    """Mixed into the backend's DatabaseWrapper."""

    init_commands: list[str]

    def get_new_connection(self, conn_params: Any) -> Any:
        from ..drivers.sqlite import connection, idle_connections

        if not self.is_in_memory_db() and self._leaves_no_lock():
            known = type(self), conn_params, self.init_commands
            if (found := idle_connections.take(self.gate, known)) is not None:
                return found
        else:
            known = None
        open_one = super().get_new_connection
        opened = connection.connect(self.gate, conn_params, open_one)
        # What opens it does the same to each; Django's functions know no thread.
        opened.session_changed = opened.calls_back = False
        idle_connections.note(opened, known)
        return opened

    def _leaves_no_lock(self) -> bool:
        return not any("locking_mode" in each.lower() for each in self.init_commands)

    def connect(self) -> None:
        super().connect()
        if self.connection is not None:
            # Receivers of the signal do so again for whoever has it next.
            self.connection.session_changed = False

    def in_transaction(self) -> bool:
        return self.connection is None or self.connection.in_transaction

    def _close(self) -> None:
        from ..drivers.sqlite import idle_connections

        if self.connection is not None:
            idle_connections.give(self.connection)

    def finish_at_once(self) -> bool:
        if self.connection is not None and not self._is_at_rest():
            return False
        self._close()
        self._finished()
        return True
