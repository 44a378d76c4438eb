"""Tests that need a view give their own URLs with override_settings(ROOT_URLCONF)."""

urlpatterns: list[object] = []
