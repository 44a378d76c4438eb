"""Logging in and out through a site's views, and what guards them, in a block."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import SyncToAsync
from django.contrib import auth
from django.contrib.auth.decorators import (
    login_required,
    permission_required,
    user_passes_test,
)
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, AsyncRequestFactory, override_settings
from django.urls import path

from django_async_fast import new_connection, run_sync
from tests.testapp.models import Author

PASSWORD = "correct horse"


# ----- a site


async def log_in(request: HttpRequest) -> HttpResponse:
    user = await auth.aauthenticate(request, **request.POST.dict())
    if user is None:
        return HttpResponse(status=403)
    await auth.alogin(request, user)
    return await who(request)


async def log_out(request: HttpRequest) -> HttpResponse:
    await auth.alogout(request)
    return HttpResponse()


async def change_password(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    user.set_password(request.POST["password"])
    await user.asave()
    request.user = user  # Django 5.2 looks there
    await auth.aupdate_session_auth_hash(request, user)
    return await who(request)


async def count_visits(request: HttpRequest) -> HttpResponse:
    await request.session.aset("visits", await request.session.aget("visits", 0) + 1)
    return JsonResponse({"visits": await request.session.aget("visits")})


async def who(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    permissions = await user.aget_all_permissions()
    return JsonResponse({"name": user.username, "can": sorted(permissions)})


async def authors(request: HttpRequest) -> HttpResponse:
    names = [author.name async for author in Author.objects.order_by("pk")]
    return JsonResponse({"names": names})


urlpatterns = [
    path("login", log_in),
    path("logout", log_out),
    path("password", change_password),
    path("visits", count_visits),
    path("who", who),
    path("private", login_required(who)),
    path("authors", authors),
]


@pytest.fixture(autouse=True)
def _allowed_host() -> Iterator[None]:
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        yield


@pytest.fixture(params=["db", "cached_db"])
def _site(request: pytest.FixtureRequest) -> Iterator[None]:
    with override_settings(
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        SESSION_ENGINE=f"django.contrib.sessions.backends.{request.param}",
    ):
        yield


async def make_user() -> User:
    user = await User.objects.acreate_user("u", password=PASSWORD)
    await user.user_permissions.aadd(await Permission.objects.aget(codename="add_tag"))
    return user


@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize("block", [True, False])
async def test_a_session_from_login_to_logout(block: bool) -> None:
    async with AsyncExitStack() as stack:
        if block:
            await stack.enter_async_context(new_connection())
        await make_user()
        known = {"name": "u", "can": ["testapp.add_tag"]}
        unknown = {"name": "", "can": []}
        client = AsyncClient()

        async def get(url: str) -> Any:
            return (await client.get(url)).json()

        async def post(url: str, **data: str) -> Any:
            return await client.post(url, data)

        assert await get("/who") == unknown
        assert (await client.get("/private")).status_code == 302
        assert await get("/visits") == {"visits": 1}
        assert (await post("/login", username="u", password="no")).status_code == 403
        assert await get("/who") == unknown
        response = await post("/login", username="u", password=PASSWORD)
        assert response.status_code == 200
        assert await get("/who") == known
        assert await get("/private") == known
        assert await get("/visits") == {"visits": 2}
        assert await Session.objects.acount() == 1
        # Another password ends other sessions, but not this one.
        other = AsyncClient()
        await other.alogin(username="u", password=PASSWORD)
        assert (await other.get("/who")).json() == known
        assert (await post("/password", password="better")).status_code == 200
        assert await get("/who") == known
        assert (await other.get("/who")).json() == unknown
        assert (await post("/logout")).status_code == 200
        assert await get("/who") == unknown
        assert await get("/visits") == {"visits": 1}


@pytest.mark.usefixtures("_site")
async def test_a_test_clients_own_login() -> None:
    async with new_connection():
        user = await make_user()
        client = AsyncClient()
        assert not await client.alogin(username="u", password="wrong")
        assert await client.alogin(username="u", password=PASSWORD)
        assert (await client.get("/who")).json()["name"] == "u"
        await client.alogout()
        assert (await client.get("/who")).json()["name"] == ""
        await client.aforce_login(user)
        assert (await client.get("/who")).json()["name"] == "u"


@pytest.mark.usefixtures("_site")
async def test_a_view_is_in_the_transaction_of_its_block() -> None:
    async with new_connection():
        with pytest.raises(ZeroDivisionError):
            async with transaction.atomic():
                await Author.objects.acreate(name="uncommitted")
                response = await AsyncClient().get("/authors")
                assert response.json() == {"names": ["uncommitted"]}
                raise ZeroDivisionError
        assert (await AsyncClient().get("/authors")).json() == {"names": []}


# ----- what guards a view


def in_staff(user: Any) -> bool:
    return User.objects.filter(pk=user.pk, is_staff=True).exists()


GUARDS = {
    "login_required": login_required,
    "user_passes_test": user_passes_test(in_staff),
    "permission_required": permission_required("testapp.add_tag"),
}


def request_of(user: Any) -> HttpRequest:
    request = AsyncRequestFactory().get("/")
    request.auser = mock.AsyncMock(return_value=user)
    return request


@pytest.mark.parametrize("name", GUARDS)
@pytest.mark.parametrize("allowed", [True, False])
async def test_a_guard_of_an_asynchronous_view(name: str, allowed: bool) -> None:
    @GUARDS[name]
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(await Author.objects.acount()))

    async with new_connection():
        user: Any = AnonymousUser()
        if allowed:
            user = await make_user()
            await User.objects.aupdate(is_staff=True)
        refused = AssertionError("a thread was asked for")
        with mock.patch.object(SyncToAsync, "__call__", side_effect=refused):
            response = await view(request_of(user))
    assert response.status_code == (200 if allowed else 302)


async def test_a_guard_that_raises() -> None:
    @permission_required("testapp.add_tag", raise_exception=True)
    async def view(request: HttpRequest) -> HttpResponse:
        return pytest.fail("called")

    async with new_connection():
        user = await User.objects.acreate_user("nobody")
        with pytest.raises(PermissionDenied):
            await view(request_of(user))


# ----- permissions


async def test_permissions_are_those_that_synchronous_django_finds() -> None:
    async with new_connection():
        user = await make_user()
        assert await user.ahas_perm("testapp.add_tag")
        assert not await user.ahas_perm("testapp.delete_tag")
        assert await user.ahas_module_perms("testapp")
        fresh = await User.objects.aget(pk=user.pk)
        expected = await run_sync(fresh.get_all_permissions)
        again = await User.objects.aget(pk=user.pk)
        assert await again.aget_all_permissions() == expected == {"testapp.add_tag"}
