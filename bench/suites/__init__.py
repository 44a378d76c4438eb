"""What is measured: a case each, whose name is the contenders' method."""

import pytest


def case(**said):
    """Return the test of a case; `harness.rounds.Case` has what is said of one."""

    def test(measure):
        measure()

    return pytest.mark.case(**said)(test)
