"""Names of headers that the core keeps: only those that mean the same tomorrow."""

from unittest import mock

import pytest
from django.http import HttpHeaders, HttpResponse

META = {"HTTP_ACCEPT": "a", "X_FOO": "b", "CONTENT_MD5": "m"}


def test_what_is_a_header_is_asked_each_time() -> None:
    assert dict(HttpHeaders(META)) == {"Accept": "a"}
    with mock.patch.object(HttpHeaders, "HTTP_PREFIX", "X_"):
        assert dict(HttpHeaders(META)) == {"Foo": "b"}
    unprefixed = {*HttpHeaders.UNPREFIXED_HEADERS}
    with mock.patch.object(HttpHeaders, "UNPREFIXED_HEADERS", unprefixed):
        assert dict(HttpHeaders(META)) == {"Accept": "a"}
        unprefixed.add("CONTENT_MD5")
        assert dict(HttpHeaders(META)) == {"Accept": "a", "Content-Md5": "m"}


def test_a_status_that_is_not_kept_is_checked_all_the_same() -> None:
    class Own(HttpResponse):
        @property
        def status_code(self) -> int:  # type: ignore[override]
            return 5

        @status_code.setter
        def status_code(self, value: int) -> None: ...

    with pytest.raises(ValueError, match="from 100 to 599"):
        Own("x", status=404)
