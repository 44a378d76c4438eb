"""Whole requests to applications in one process: their ratios make one table."""

import pytest

pytestmark = pytest.mark.case(times=60, per="request", table="pages")


@pytest.mark.case(title="No query", times=600)
def test_page_plain(measure):
    measure()


@pytest.mark.case(title="One get()", times=200)
def test_page_db(measure):
    measure()


@pytest.mark.case(title="20 get()s")
def test_page_queries(measure):
    measure()


@pytest.mark.case(title="12 rows in a template")
def test_page_fortunes(measure):
    measure()


@pytest.mark.case(title="20 times get(), save()")
def test_page_updates(measure):
    measure()


@pytest.mark.case(title="20 rows: join, filter, order, slice")
def test_page_books(measure):
    measure()


@pytest.mark.case(title="count(), first(), prefetch")
def test_page_shop(measure):
    measure()


@pytest.mark.case(title="Middleware, session, user, template")
def test_page_site(measure):
    measure()


@pytest.mark.case(title="The same, a synchronous view")
def test_page_site_sync(measure):
    measure()


@pytest.mark.case(title="REST framework: 20 rows, count()")
def test_page_api(measure):
    measure()
