"""Whole requests to applications in one process: their ratios make one table."""

import pytest

from bench.suites import case

pytestmark = pytest.mark.case(times=60, per="request", table="pages")

test_page_plain = case(title="No query", times=600)
test_page_db = case(title="One get()", times=200)
test_page_queries = case(title="20 get()s")
test_page_fortunes = case(title="12 rows in a template")
test_page_links = case(title="20 links in a template")
test_page_updates = case(title="20 times get(), save()")
test_page_books = case(title="20 rows: join, filter, order, slice")
test_page_shop = case(title="count(), first(), prefetch")
test_page_site = case(title="Middleware, session, user, template")
test_page_site_sync = case(title="The same, a synchronous view")
test_page_api = case(title="REST framework: 20 rows, count()")
