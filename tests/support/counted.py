"""Objects that are counted while they are alive."""


class Counted:
    """Each subclass has the number of its instances in `alive`."""

    alive = 0

    def __init__(self) -> None:
        type(self).alive += 1

    def __del__(self) -> None:
        type(self).alive -= 1
