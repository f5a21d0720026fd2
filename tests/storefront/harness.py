"""The shop as a user starts it, a real browser before it, and the operator's ways in from behind."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from emulator.program import ROOT
from functions.shared import versions
from local import keep
from local.login import connected
from tests.emulator.aws import wait_until

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = f"no browser: expected one of {', '.join(BROWSERS)}; on Debian: apt-get install chromium"
OPEN_SECONDS, VERSION_SECONDS = 600, 400
"""The most seconds until the shop is open, and from then to the second version, on a machine with much else to do."""
WIDE, PHONE = (1200, 900), (390, 844)


@dataclass
class OpenShop:
    """`make shop`, open. `address` is the one that it printed."""

    process: "subprocess.Popen[str]"
    folder: Path
    lines: list[str] = field(default_factory=list)

    def found(self, pattern: str) -> str | None:
        return next((match[1] for line in self.lines if (match := re.search(pattern, line))), None)

    def wait_for(self, pattern: str, seconds: float) -> str:
        wait_until(lambda: bool(self.found(pattern)) or self.process.poll() is not None, seconds)
        found = self.found(pattern)
        assert found, "\n".join(self.lines)
        return found

    @property
    def address(self) -> str:
        return self.wait_for(r"^shop +(http\S+)$", OPEN_SECONDS)

    @property
    def url(self) -> str:
        return self.address.partition("?")[0]

    @property
    def bucket(self) -> str:
        """The bucket of the recommendation records."""
        return keep.find(self.folder).bucket

    def client(self, service: str) -> Any:
        """A client of the run's root, for what no page can do."""
        run = keep.find(self.folder).environment
        return boto3.session.Session().client(
            service,
            region_name=run["AWS_REGION"],
            endpoint_url=run["AWS_ENDPOINT_URL"],
            verify=run["AWS_CA_BUNDLE"],
            aws_access_key_id=run["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=run["AWS_SECRET_ACCESS_KEY"],
        )

    def function(self, part: str) -> str:
        names = [each["FunctionName"] for each in self.client("lambda").list_functions()["Functions"]]
        (name,) = [name for name in names if part in name]
        return str(name)

    @contextlib.contextmanager
    def vector_store(self) -> Iterator["psycopg.Connection[Any]"]:
        """The vector store, by the loader's own login."""
        found = self.client("lambda").get_function_configuration(FunctionName=self.function("loader"))
        variables = found["Environment"]["Variables"]
        with psycopg.connect(
            host=variables["VECTOR_DB_HOST"],
            port=variables["VECTOR_DB_PORT"],
            dbname=variables["VECTOR_DB_NAME"],
            user=variables["VECTOR_DB_USER"],
            password=variables["VECTOR_DB_PASSWORD"],
        ) as connection:
            yield connection

    def active_version(self) -> str:
        with self.vector_store() as connection:
            return versions.active(connection)[0]

    def set_stock(self, stock: Mapping[str, int]) -> None:
        """Changes quantities in the shop's database, and has the catalogue refreshed now instead of in a minute."""
        with connected(keep.find(self.folder).login) as source, source.cursor() as cursor:
            rows = [(quantity, item) for item, quantity in stock.items()]
            cursor.executemany("UPDATE products SET quantityInStock = %s WHERE productCode = %s", rows)
            source.commit()
        wait_until(self._refreshed, seconds=60)

    def _refreshed(self) -> bool:
        """Returns False where a refresh by the schedule was at work, which may have read the stock before."""
        answer = self.client("lambda").invoke(FunctionName=self.function("refresh"), Payload=b"{}")
        report = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, report
        return "skipped" not in report


@contextlib.contextmanager
def open_shop(folder: Path) -> Iterator[OpenShop]:
    """Runs `make shop` in a folder, until the context ends by Ctrl-C."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "shop", "--no-browser", "--port", "0", "--folder", str(folder)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell's background job ignores Ctrl-C; this one must not, whatever runs the tests.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    shop = OpenShop(process, folder)
    reader = threading.Thread(target=lambda: shop.lines.extend(map(str.rstrip, process.stdout or ())), daemon=True)
    reader.start()
    try:
        yield shop
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        reader.join(10)
    assert process.returncode == 0, "\n".join(shop.lines)


def browser_path() -> str:
    """The system's browser. A machine without one skips; CI must have one."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and not os.environ.get("CI"):
        pytest.skip(NO_BROWSER)
    assert found, NO_BROWSER
    return found


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    path = browser_path()
    # Chromium's sandbox does not run as root (its own error says so); its pages come from this machine alone.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@contextlib.contextmanager
def visitor(browser: Browser, shop: OpenShop, size: tuple[int, int] = WIDE) -> Iterator[Page]:
    """A new visitor at the open shop. In the end nothing was loaded from elsewhere, and no script or policy failed."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    told: list[str] = []
    elsewhere: list[str] = []
    page.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(shop.url) else elsewhere.append(asked.url))
    page.goto(shop.address)
    settled(page)
    yield page
    context.close()
    assert (told, elsewhere) == ([], [])


def settled(page: Page) -> None:
    """Waits until every answer that the shop has asked for is shown."""
    expect(page.locator("#main[aria-busy=false]")).to_be_attached()


def look_at(page: Page, item: str) -> None:
    """Opens a product's page, from whichever list has it."""
    page.evaluate("(item) => { location.hash = `#/item/${item}`; }", item)
    expect(page.locator(f"#product [data-item='{item}']")).to_be_attached()
    settled(page)


def items(page: Page, list_id: str) -> list[str]:
    """The ids of the products in a list, in order."""
    return [
        str(each)
        for each in page.eval_on_selector_all(f"#{list_id} [data-item]", "(all) => all.map((e) => e.dataset.item)")
    ]


def picture(page: Page, name: str) -> None:
    """Saves what the page shows at its top, for README.md, where the variable SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=Path(folder) / f"{name}.png")


CONTRAST = """() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const found = numbers(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const at = text.parentElement;
    if (!text.data.trim() || !at.checkVisibility() || at.closest("svg")) continue;
    const [a, b] = [light(numbers(getComputedStyle(at).color)), light(behind(at))];
    found.push([text.data.trim().slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
}"""
"""Each visible text with the contrast of its colour and the one behind it (WCAG 2.2, "contrast ratio")."""
