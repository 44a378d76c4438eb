"""The pytest plugin, as it is named in `-p`; see `testing/pytest_plugin.py`."""

from .testing.pytest_plugin import *  # noqa: F403 - every hook and fixture
