"""Whole requests to applications in one process: their ratios make one table."""

import pytest

pytestmark = pytest.mark.case(times=60, per="request", table="pages")


@pytest.mark.case(title="No query", times=600)
def test_page_plain(race):
    race()


@pytest.mark.case(title="One get()", times=200)
def test_page_db(race):
    race()


@pytest.mark.case(title="20 get()s")
def test_page_queries(race):
    race()


@pytest.mark.case(title="12 rows in a template")
def test_page_fortunes(race):
    race()


@pytest.mark.case(title="20 times get(), save()")
def test_page_updates(race):
    race()


@pytest.mark.case(title="20 rows: join, filter, order, slice")
def test_page_books(race):
    race()


@pytest.mark.case(title="count(), first(), prefetch")
def test_page_shop(race):
    race()


@pytest.mark.case(title="Middleware, session, user, template")
def test_page_site(race):
    race()


@pytest.mark.case(title="The same, a synchronous view")
def test_page_site_sync(race):
    race()


@pytest.mark.case(title="REST framework: 20 rows, count()")
def test_page_api(race):
    race()
