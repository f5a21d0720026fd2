// The product as it is shown: a card in a list, a page of its own, a line in the cart. What is known of products are the
// attributes of the API's answers.

import { element } from "./elements.js";
import { picture } from "./pictures.js";

const STORED = "products";
const known = new Map(Object.entries(JSON.parse(sessionStorage.getItem(STORED) ?? "{}")));

export function remember(items) {
  for (const { id, attributes } of items) if (attributes) known.set(id, attributes);
  sessionStorage.setItem(STORED, JSON.stringify(Object.fromEntries(known)));
}

const attribute = (id, label) => known.get(id)?.[label] ?? null;
export const nameOf = (id) => attribute(id, "name") ?? id;
// The label of a kind is the shop's own choice (`[items.display]` in dataset.toml).
export const kindOf = (id) => attribute(id, "kind") ?? attribute(id, "category") ?? attribute(id, "line");

const money = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

function priceOf(id) {
  const price = attribute(id, "price");
  return price === null || Number.isNaN(Number(price)) ? null : money.format(Number(price));
}

function facts(id) {
  return [kindOf(id), priceOf(id)].filter(Boolean).join(" · ");
}

// `place` names the card's elements, so that the focus stays at a place of a list that changes. `origin` is the answer
// that the card is from, and its place there; null in a list that recommends nothing.
export function card(id, place, origin, visit, actions) {
  return element(
    "li",
    { class: "card", "data-item": id },
    element(
      "a",
      {
        id: `${place}-link`,
        href: `#/item/${encodeURIComponent(id)}`,
        "data-answer": origin?.recommendation_id,
        onclick: () => origin && visit.choose(id, origin),
      },
      picture(id, kindOf(id) ?? nameOf(id)),
      element("span", { class: "name" }, nameOf(id)),
    ),
    element("p", { class: "facts" }, facts(id) || id),
    cartButton(id, place, origin, visit, actions),
  );
}

export function details(id, visit, actions) {
  return [
    picture(id, kindOf(id) ?? nameOf(id)),
    element(
      "div",
      { "data-item": id },
      element("h1", { id: "product-name", tabindex: "-1" }, nameOf(id)),
      element("p", { class: "facts" }, [facts(id), id].filter(Boolean).join(" · ")),
      cartButton(id, "product", null, visit, actions),
      element("p", {}, element("a", { href: "#/" }, "Back to all products")),
    ),
  ];
}

export function cartEntry(id, actions) {
  const label = `Remove ${nameOf(id)} from the cart`;
  return element(
    "li",
    { "data-item": id },
    element("a", { href: `#/item/${encodeURIComponent(id)}` }, nameOf(id)),
    element("button", { class: "quiet", "aria-label": label, onclick: () => actions.remove(id) }, "Remove"),
  );
}

function cartButton(id, place, origin, visit, actions) {
  if (visit.cart.includes(id)) return element("p", { class: "in-cart" }, "In the cart");
  const label = `Add ${nameOf(id)} to the cart`;
  const add = () => actions.add(id, origin);
  return element("button", { id: `${place}-add`, "aria-label": label, onclick: add }, "Add to cart");
}
