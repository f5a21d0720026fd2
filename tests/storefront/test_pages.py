"""The storefront and the console in a real browser, before one whole system that `make shop` has brought up."""

import json
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from functions.shop_seeder.sample_shop import generate
from operations.recommendations import Receiver
from tests.emulator.aws import wait_until
from tests.storefront.harness import CONTRAST, PHONE, WIDE, OpenShop, items, look_at, picture, settled, visitor

THEME = {product.productCode: product.theme for product in generate(seed=1).products}
"""The kind that tastes are for: in the sample shop's names and ratings, and in no column that the model reads."""


def test_three_clicks_of_one_kind_bring_more_of_that_kind(page: Page) -> None:
    before = Counter(THEME[item] for item in items(page, "for-you"))
    kind = min(sorted(set(THEME.values())), key=lambda theme: before[theme])
    page.get_by_role("button", name="Show more products").click()
    for item in [item for item in items(page, "products") if THEME[item] == kind][:3]:
        page.locator(f"#products [data-item='{item}'] a").click()
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_be_focused()
        expect(heading).to_have_text(re.compile(f", {kind}$"))
        settled(page)
    expect(page.locator("#why")).to_have_text("From what you look at in this visit.")
    after = Counter(THEME[item] for item in items(page, "for-you"))
    assert after[kind] >= before[kind] + 3, f"{kind}: {before} became {after}"
    picture(page, "shop")


def test_a_product_that_goes_into_the_cart_leaves_the_list_and_comes_back_from_it(page: Page) -> None:
    wanted = items(page, "for-you")[0]
    page.locator(f"#for-you [data-item='{wanted}']").get_by_role(
        "button", name=re.compile("^Add .* to the cart$")
    ).click()
    expect(page.locator(f"#for-you [data-item='{wanted}']")).to_have_count(0)
    cart = page.get_by_role("complementary", name="Cart")
    assert items(page, "cart-items") == [wanted]
    expect(page.get_by_role("link", name="Cart: 1")).to_be_visible()
    cart.get_by_role("button", name=re.compile("^Remove .* from the cart$")).click()
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    expect(page.get_by_role("link", name="Cart: 0")).to_be_visible()


def test_a_sold_out_product_disappears_from_every_list(page: Page, shop: OpenShop) -> None:
    opened = items(page, "for-you")[0]
    look_at(page, opened)
    lists = {name: items(page, name) for name in ("for-you", "similar", "products")}
    gone = {found[0] if found[0] != opened else found[1] for found in lists.values()}
    shop.set_stock(dict.fromkeys(gone, 0))
    try:
        look_at(page, lists["for-you"][-1])
        look_at(page, opened)
        assert [name for name in lists if gone & set(items(page, name))] == []
        assert all(items(page, name) for name in lists)
    finally:
        shop.set_stock(dict.fromkeys(gone, 10))


def test_an_activation_in_the_console_changes_the_version_of_the_next_answer(page: Page, shop: OpenShop) -> None:
    newest = re.search(r"version (\S+)$", page.locator("#answer").inner_text())
    assert newest
    page.get_by_role("link", name="Console").click()
    button = page.get_by_role("button", name=re.compile("^Roll back to "))
    older = button.get_attribute("aria-label").removeprefix("Roll back to ")  # type: ignore[union-attr]
    assert older < newest[1]
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(f"Version {older} is active.")
    expect(page.get_by_role("row", name=older).get_by_text("Active")).to_be_visible()
    page.get_by_role("link", name="Shop", exact=True).click()
    expect(page.locator("#answer")).to_contain_text(older)
    page.get_by_role("link", name="Console").click()
    page.get_by_role("button", name=f"Activate {newest[1]}").click()
    expect(page.get_by_role("status")).to_have_text(f"Version {newest[1]} is active.")
    assert shop.active_version() == newest[1]


def test_the_console_shows_what_visitors_did_and_what_failed(page: Page, shop: OpenShop) -> None:
    page.get_by_label("Customer number").fill("105")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#why")).to_contain_text("From what this customer bought and rated")
    look_at(page, items(page, "for-you")[0])
    stream = shop.client("kinesis").list_streams()["StreamNames"][0]
    shop.client("kinesis").put_record(StreamName=stream, Data=b"no event", PartitionKey="s")
    page.get_by_role("link", name="Console").click()
    failures = page.get_by_role("region", name="Failures by reason")
    expect(failures).to_contain_text("event failed: not_json")
    expect(failures).to_contain_text("operations replay can put back: ")
    records = page.get_by_role("region", name="Last recommendation records")
    expect(records.get_by_role("row", name=re.compile(r"^browse 105 1 personalized "))).to_be_visible()
    rates = page.get_by_role("img", name=re.compile("^Events and recommendations a second"))
    expect(rates).to_have_accessible_name(re.compile(r"Events on the stream: .*? at most (0\.[2-9]|[1-9])"))
    latency = page.get_by_role("img", name=re.compile("^Milliseconds of an answer"))
    expect(latency).to_have_accessible_name(
        re.compile(r"p50: \d[\d.]* ms, at most [1-9].*p99: \d[\d.]* ms, at most [1-9]")
    )
    expect(page.get_by_role("region", name="What recommendations rest on")).to_contain_text(
        re.compile(r"personalized[1-9]")
    )


def test_what_a_visitor_does_reaches_the_data_with_the_answer_that_led_to_it(page: Page, shop: OpenShop) -> None:
    second = page.locator("#for-you .card").nth(1)
    item = str(second.get_attribute("data-item"))
    answer = second.get_by_role("link").get_attribute("data-answer")
    second.get_by_role("link").click()
    settled(page)
    page.get_by_role("region", name=page.get_by_role("heading", level=1).inner_text()).get_by_role("button").click()
    settled(page)
    page.get_by_role("button", name="Buy").click()
    expect(page.get_by_text("Thank you: 1 bought.")).to_be_visible()
    settled(page)
    session = json.loads(page.evaluate("sessionStorage.getItem('visit')"))["session"]
    receiver = Receiver(shop.client("s3"), shop.bucket)

    def told(kind: str) -> list[dict[str, Any]]:
        records = receiver.poll().recommendations.values()
        return [each for each in records if (each["session_id"], each.get("type")) == (session, kind)]

    wait_until(lambda: bool(told("purchase")), seconds=60)
    (click,), (purchase,), (cart,), (browse,) = (told(kind) for kind in ("click", "purchase", "cart", "browse"))
    assert (click["recommendation_id"], click["items"]) == (answer, [{"product_code": item, "position": 2}])
    assert (purchase["recommendation_id"], purchase["items"]) == (answer, [{"product_code": item, "quantity": 1}])
    assert [entry["in_shopping_cart"] for record in (browse, cart) for entry in record["browse_history"]] == [
        False,
        True,
    ]
    assert browse["recommended_items"]
    shown = next(each for each in told("impression") if each["recommendation_id"] == answer)
    assert shown["items"][1] == {"product_code": item, "position": 2}


def test_the_shop_works_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the products")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    first = page.locator("#for-you a").first
    expect(first).to_be_focused()
    outline = first.evaluate("(e) => getComputedStyle(e).outlineStyle + getComputedStyle(e).outlineWidth")
    assert outline == "solid3px"
    name = first.inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=name)).to_be_focused()
    page.keyboard.press("Tab")
    product = page.get_by_role("region", name=name)
    expect(product.get_by_role("button", name=f"Add {name} to the cart")).to_be_focused()
    page.keyboard.press("Enter")
    cart = page.get_by_role("complementary", name="Cart")
    expect(cart.get_by_role("link", name=name)).to_be_visible()
    expect(page.get_by_role("main")).to_be_focused()  # for the button is gone
    cart.get_by_role("button", name=f"Remove {name} from the cart").press("Enter")
    expect(cart.get_by_role("link", name=name)).to_have_count(0)
    expect(cart).to_be_focused()


@pytest.mark.parametrize("path", ["", "console"])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_a_page_fits_and_can_be_read_by_everybody(
    browser: Browser, shop: OpenShop, size: tuple[int, int], path: str
) -> None:
    with visitor(browser, shop, size) as page:
        page.goto(shop.url + path)
        expect(page.locator(".card, tbody tr").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        weak = [(text, ratio) for text, ratio in page.evaluate(CONTRAST) if ratio < 4.5]
        assert weak == []
        picture(page, f"{path or 'shop'}-{size[0]}")
        for role in ("button", "link", "textbox", "img"):
            for each in page.get_by_role(role).all():
                expect(each).to_have_accessible_name(re.compile(r"\S"))
        levels = page.get_by_role("heading").evaluate_all("(all) => all.map((e) => Number(e.tagName[1]))")
        assert levels
        assert all(after - before <= 1 for before, after in pairwise(levels)), levels


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"host": "rebound.example"}, 421),
        ({"cookie": ""}, 401),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": None}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"x-csrf-token": "guessed"}, 403),
        ({"x-csrf-token": None}, 403),
    ],
)
def test_only_the_servers_own_pages_may_switch_versions(
    shop: OpenShop, change: dict[str, str | None], status: int
) -> None:
    session = requests.Session()
    html = session.get(shop.address, timeout=30).text
    token = re.search(r'name="csrf-token" content="([^"]+)"', html)
    assert token
    active = session.get(shop.url + "console/data", timeout=30).json()["versions"]["active"]
    headers = {"origin": shop.url.rstrip("/"), "x-csrf-token": token[1], "sec-fetch-site": "same-origin"} | change
    answer = session.post(shop.url + "console/activate", json={"version": active}, headers=headers, timeout=60)
    assert answer.status_code == status, answer.text


def test_the_server_gives_no_credentials_away_and_asks_for_nothing_but_the_api(shop: OpenShop) -> None:
    assert requests.get(shop.url, timeout=30).status_code == 401
    session = requests.Session()
    page = session.get(shop.address, timeout=30)
    assert page.url == shop.url
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path in (
        "v1/nowhere",
        "v1/../console",
        "static/../server.py",
        "static/%2e%2e/server.py",
        "v1/items/%2e%2e%2f%2e%2e/similar",
    ):
        prepared = session.prepare_request(requests.Request("GET", shop.url))
        prepared.url = shop.url + path  # as it is, for requests would take the dots out
        assert session.send(prepared, timeout=30).status_code in (400, 404), path
    run = (shop.folder / "env").read_text()
    secrets = re.findall(r"(?:SECRET_ACCESS_KEY|PASSWORD|PWD)=(\S+)", run)
    assert secrets
    seen = page.text + session.get(shop.url + "console/data", timeout=30).text + str(page.headers)
    assert not [secret for secret in secrets if secret.strip("'") in seen]
    wait_until(lambda: (shop.folder / "storefront.log").exists())
