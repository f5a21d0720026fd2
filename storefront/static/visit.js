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
    this.keep();
  }

  keep() {
    const { session, customer, looked, cart } = this;
    sessionStorage.setItem(STORED, JSON.stringify({ session, customer, looked, cart }));
  }

  signIn(customer) {
    Object.assign(this, { session: crypto.randomUUID(), customer, looked: [], cart: [] });
    this.keep();
  }

  async look(item) {
    this.looked = [...this.looked.filter((each) => each !== item), item];
    this.keep();
    await this.tell("browse");
  }

  async add(item) {
    if (this.cart.includes(item)) return;
    this.cart = [...this.cart, item];
    if (!this.looked.includes(item)) this.looked = [...this.looked, item];
    this.keep();
    await this.tell("cart");
  }

  async remove(item) {
    this.cart = this.cart.filter((each) => each !== item);
    this.keep();
    await this.tell("cart");
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

  async tell(type) {
    const history = this.looked.slice(-MAX_HISTORY).map((item) => ({
      product_code: item,
      quantity: 1,
      in_shopping_cart: this.cart.includes(item),
    }));
    const event = { session_id: this.session, type, browse_history: history };
    if (this.customer) event.customer_number = this.customer;
    const { results } = await post("/v1/events", { events: [event] });
    if (results[0].status !== 202) throw new Error(results[0].problem.detail);
  }
}

export const popular = (limit) => get(`/v1/popular?${new URLSearchParams({ limit })}`);
