// The storefront. Every product on it comes from an answer of the API, every click goes to it as an event, and the lists
// are asked for again at once.

import { card, cartEntry, details, kindOf, remember } from "./cards.js";
import { element, show } from "./elements.js";
import { Visit, popular } from "./visit.js";

const FOR_YOU = 10;
const SIMILAR = 5;
const ALL = 100; // the most that an answer holds
const FIRST = 24; // products on the page before "Show more"

const WHY = {
  personalized: "From what this customer bought and rated before, and looks at now.",
  session: "From what you look at in this visit.",
  popular: "What most customers like. Look at something, and this list follows.",
  nothing: "Nothing is left to recommend.",
};

const visit = new Visit();
const at = (id) => document.getElementById(id);
const page = { item: null, kind: null, all: [], shown: FIRST };
let asked = 0;
let waiting = 0;

const actions = {
  add: (item, origin) => act(() => visit.add(item, origin)),
  remove: (item) => act(() => visit.remove(item)),
};

async function act(change) {
  busy(+1);
  try {
    const told = change();
    drawCart();
    await Promise.all([told, refresh()]);
    at("problem").hidden = true;
  } catch (error) {
    at("problem").textContent = error.message;
    at("problem").hidden = false;
  } finally {
    busy(-1);
  }
}

function busy(change) {
  waiting += change;
  at("main").setAttribute("aria-busy", String(waiting > 0));
}

async function refresh() {
  const turn = ++asked;
  const item = page.item;
  const answers = [visit.recommended(FOR_YOU), popular(ALL), ...(item ? [visit.similar(item, SIMILAR)] : [])];
  const [forYou, all, similar] = await Promise.all(answers);
  if (turn !== asked) return; // a later click has asked again
  for (const answer of [all, forYou, similar]) if (answer) remember(answer.items);
  drawList("for-you", forYou.items, forYou.recommendation_id);
  at("why").textContent = WHY[forYou.strategy] ?? "";
  page.all = all.items;
  drawProduct(similar);
  drawAll();
  drawCart();
  at("answer").textContent = `For you: ${forYou.strategy}, by model version ${forYou.model_version}`;
  await visit.saw(similar ? [forYou, similar] : [forYou]);
}

function drawList(id, items, recommendation_id = null) {
  const cards = items.map((item, place) => {
    const origin = recommendation_id && { recommendation_id, position: place + 1 };
    return card(item.id, `${id}-${place}`, origin, visit, actions);
  });
  show(at(id), ...cards);
}

function drawProduct(similar) {
  at("product").hidden = at("similar-section").hidden = !page.item;
  if (!page.item) return;
  show(at("product"), ...details(page.item, visit, actions));
  if (similar) drawList("similar", similar.items, similar.recommendation_id);
}

function drawAll() {
  const kinds = [...new Set(page.all.map((item) => kindOf(item.id)).filter(Boolean))].sort();
  if (!kinds.includes(page.kind)) page.kind = null;
  const choices = [null, ...kinds].map((kind) =>
    element(
      "button",
      { id: `kind-${kind ?? "all"}`, "aria-pressed": String(kind === page.kind), onclick: () => choose(kind) },
      kind ?? "All",
    ),
  );
  at("kinds").replaceChildren(...(kinds.length > 1 ? choices : []));
  const wanted = page.all.filter((item) => !page.kind || kindOf(item.id) === page.kind);
  drawList("products", wanted.slice(0, page.shown));
  at("more").hidden = wanted.length <= page.shown;
}

function choose(kind) {
  page.kind = kind;
  page.shown = FIRST;
  drawAll();
  at(`kind-${kind ?? "all"}`).focus();
}

function drawCart() {
  at("cart-count").textContent = String(visit.cart.length);
  at("cart-empty").hidden = visit.cart.length > 0;
  at("buy").hidden = visit.cart.length === 0;
  show(at("cart-items"), ...visit.cart.map((item) => cartEntry(item, actions)));
}

function navigate() {
  const [, item] = location.hash.match(/^#\/item\/(.+)$/) ?? [];
  if (asked && location.hash && !location.hash.startsWith("#/")) return; // a place on this page
  page.item = item ? decodeURIComponent(item) : null;
  if (page.item) {
    drawProduct(null);
    show(at("similar"));
    at("product-name").focus();
    scrollTo(0, 0);
    act(() => visit.look(page.item));
  } else {
    at("product").hidden = at("similar-section").hidden = true;
    act(() => null);
  }
}

at("who").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  visit.signIn(at("customer").value.trim());
  location.hash = "#/";
  act(() => null);
});
at("buy").addEventListener("click", () => {
  at("bought").textContent = `Thank you: ${visit.cart.length} bought.`;
  act(() => visit.buy());
  at("cart").focus();
});
at("more").addEventListener("click", () => {
  const first = page.shown;
  page.shown += FIRST;
  drawAll();
  at("products").children[first]?.querySelector("a").focus();
});
addEventListener("hashchange", navigate);
// What was sold out meanwhile goes when somebody looks at the page again.
document.addEventListener("visibilitychange", () => document.hidden || act(() => null));

at("customer").value = visit.customer;
navigate();
