from catalogue import views
from django.urls import path

urlpatterns = [
    path("before/<int:author_id>/", views.author_before),
    path("after/<int:author_id>/", views.author_after),
]
