from books import api, views
from django.urls import include, path
from rest_framework.routers import DefaultRouter

router = DefaultRouter()
router.register("books", api.BookViewSet)

urlpatterns = [
    path("", views.shelf, name="shelf"),
    path("authors/<int:author_id>/", views.author, name="author"),
    path("export/", views.export, name="export"),
    path("api/", include(router.urls)),
]
