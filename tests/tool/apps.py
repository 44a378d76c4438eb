from django.apps import AppConfig

from tests import tool


class ToolConfig(AppConfig):
    name = "tests.tool"

    def ready(self) -> None:
        tool.patch()
