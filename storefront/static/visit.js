// A visit: who it is, what they looked at and what lies in the cart; the API's requests and events are made of it.
// It lives as long as the browser's tab.

import { get, post } from "./http.js";

const STORED = "visit";
// The most of each that a request may name (contracts/api.json: Items, Exclude; an event's browse_history).
const MAX_ITEMS = 50;
const MAX_EXCLUDED = 100;
const MAX_HISTORY = 1000;

export class Visit {
  constructor() {
    const stored = JSON.parse(sessionStorage.getItem(STORED) ?? "{}");
    this.session = stored.session ?? crypto.randomUUID();
    this.customer = stored.customer ?? "";
    this.looked = stored.looked ?? []; // item ids, the latest last
    this.cart = stored.cart ?? [];
    this.origins = stored.origins ?? {}; // item id → the answer that led to it, and its place there
    this.untold = []; // events that go with the next ones
    this.keep();
  }

  keep() {
    const { session, customer, looked, cart, origins } = this;
    sessionStorage.setItem(STORED, JSON.stringify({ session, customer, looked, cart, origins }));
  }

  signIn(customer) {
    Object.assign(this, { session: crypto.randomUUID(), customer, looked: [], cart: [], origins: {} });
    this.keep();
  }

  // The item of an answer was chosen. `origin`: { recommendation_id, position }.
  choose(item, origin) {
    this.origins[item] = origin;
    this.keep();
    const items = [{ product_code: item, position: origin.position }];
    this.untold.push(this.event("click", { recommendation_id: origin.recommendation_id, items }));
  }

  async look(item) {
    this.looked = [...this.looked.filter((each) => each !== item), item];
    this.keep();
    await this.tell(this.history("browse"));
  }

  async add(item, origin) {
    if (this.cart.includes(item)) return;
    if (origin) this.origins[item] = origin;
    this.cart = [...this.cart, item];
    if (!this.looked.includes(item)) this.looked = [...this.looked, item];
    this.keep();
    await this.tell(this.history("cart"));
  }

  async remove(item) {
    this.cart = this.cart.filter((each) => each !== item);
    this.keep();
    await this.tell(this.history("cart"));
  }

  // An event names one answer, so what different answers led to is bought by different events.
  async buy() {
    const bought = new Map();
    for (const item of this.cart) {
      const { recommendation_id } = this.origins[item] ?? {};
      bought.set(recommendation_id, [...(bought.get(recommendation_id) ?? []), { product_code: item, quantity: 1 }]);
    }
    this.cart = [];
    this.keep();
    await this.tell(...[...bought].map(([recommendation_id, items]) => this.event("purchase", { recommendation_id, items })));
  }

  // Lists were shown that are asked for anew with every step of the visit.
  async saw(answers) {
    const told = answers
      .filter(({ items }) => items.length)
      .map(({ recommendation_id, strategy, model_version, items }) =>
        this.event("impression", {
          recommendation_id,
          strategy,
          model_version,
          items: items.map(({ id }, place) => ({ product_code: id, position: place + 1 })),
        }),
      );
    if (told.length) await this.tell(...told);
  }

  recommended(limit) {
    const query = new URLSearchParams({ limit });
    if (this.customer) query.set("customer", this.customer);
    for (const item of this.looked.slice(-MAX_ITEMS)) query.append("items", item);
    return get(`/v1/recommendations?${this.without(query)}`);
  }

  similar(item, limit) {
    return get(`/v1/items/${encodeURIComponent(item)}/similar?${this.without(new URLSearchParams({ limit }))}`);
  }

  without(query) {
    for (const item of this.cart.slice(-MAX_EXCLUDED)) query.append("exclude", item);
    return query;
  }

  event(type, more) {
    return { session_id: this.session, type, customer_number: this.customer || null, ...more };
  }

  history(type) {
    const browse_history = this.looked.slice(-MAX_HISTORY).map((item) => ({
      product_code: item,
      quantity: 1,
      in_shopping_cart: this.cart.includes(item),
    }));
    return this.event(type, { browse_history });
  }

  async tell(...events) {
    const { results } = await post("/v1/events", { events: [...this.untold.splice(0), ...events] });
    const refused = results.find(({ status }) => status !== 202);
    if (refused) throw new Error(refused.problem.detail);
  }
}

export const popular = (limit) => get(`/v1/popular?${new URLSearchParams({ limit })}`);
