import os

from django_async_fast.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "library.settings")
application = get_asgi_application()
