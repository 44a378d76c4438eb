"""The block of a request, the ASGI application, its lifespan and the middleware."""
