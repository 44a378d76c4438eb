"""What the plugin of django-stubs reads; nothing connects."""

SECRET_KEY = "typing"
INSTALLED_APPS = ["django_async_fast", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
ROOT_URLCONF = "shop.views"
