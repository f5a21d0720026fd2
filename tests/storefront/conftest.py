"""One shop, open, and one browser for the tests of the pages."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.local.test_demo import left_running
from tests.storefront.harness import VERSION_SECONDS, OpenShop, browser_path, open_shop, running_browser, visitor

EXPECT_MS = 20_000


@pytest.fixture(scope="module")
def shop() -> Iterator[OpenShop]:
    browser_path()  # skips before anything is started
    with tempfile.TemporaryDirectory(prefix="recommender-test-") as folder:
        with open_shop(Path(folder)) as opened:
            assert opened.address
            # So that no version arrives in the middle of a test.
            opened.wait_for(r"✓ (second version)", VERSION_SECONDS)
            yield opened
        assert left_running(Path(folder)) == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=EXPECT_MS)
    with running_browser() as started:
        yield started


@pytest.fixture
def page(browser: Browser, shop: OpenShop) -> Iterator[Page]:
    with visitor(browser, shop) as opened:
        yield opened
