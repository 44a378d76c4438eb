"""Querysets that are made once and kept, as a view's.

In the body of a class or of a module (`queryset = Book.objects.filter(...)`) a chain of
methods is called for the first time and for the last. It is learnt at once: all that
the view makes of it would have Django's way for ever.
"""

import sys
from inspect import CO_OPTIMIZED

# Whose functions call the methods of querysets for others.
_BETWEEN = ("django.db.models.", "django_async_fast.")


def is_made_once() -> bool:
    """Tell whether a class's or a module's body has called a queryset's method."""
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__", "").startswith(_BETWEEN):
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return not frame.f_code.co_flags & CO_OPTIMIZED
