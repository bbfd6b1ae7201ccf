// All links: the table, and their timelines.

import { arrange, el, mark, part, say } from "./dom.js";
import { Timelines } from "./timeline.js";
import * as words from "./words.js";

/** Links that are shown at a time; the filter finds the others. */
const SHOWN = 200;

const RANK = { down: 0, waiting: 1, up: 2 };

/** Unknown values come last, the greatest first. */
const most = (value) => (a, b) => (value(b) ?? -1) - (value(a) ?? -1);

/** The columns by which links are sorted. */
const ORDERS = {
  id: { title: "id", compare: (a, b) => words.compareIds(a.id, b.id) },
  state: { title: "state", compare: (a, b) => RANK[a.state] - RANK[b.state] },
  since: { title: "since", compare: (a, b) => a.since_ms - b.since_ms },
  last: { title: "last", compare: most((link) => link.last_line?.age_ms) },
  in: { title: "in", compare: most((link) => link.lines_in) },
  out: { title: "out", compare: most((link) => link.lines_out) },
  ack: { title: "write→ack", compare: most((link) => link.write_ack_us) },
};

/** Returns the page of a link. */
export const pageOf = (id) => `#/link/${encodeURIComponent(id)}`;

/** The cells of one link, which stay while their contents change. */
class Row {
  constructor(id) {
    const cell = (title, kind) => el("td", { class: kind, "data-title": title });
    this.link = el("a", { class: "id", href: pageOf(id) }, words.clean(id));
    this.symbol = el("span", { class: "symbol", "aria-hidden": "true" });
    this.words = el("span");
    this.state = el("td", { class: "state", "data-title": "state" }, this.symbol, this.words);
    this.since = cell("since", "number");
    this.last = cell("last", "number");
    this.in = cell("in", "number");
    this.out = cell("out", "number");
    this.ack = cell("write→ack", "number");
    this.line = cell("last line", "line");
    const head = el("th", { scope: "row" }, this.link);
    this.element = el("tr", null, head, this.state, this.since, this.last, this.in, this.out, this.ack, this.line);
  }

  update(link, stale) {
    mark(this.element, "data-state", link.state);
    say(this.symbol, words.symbol(link));
    say(this.words, words.state(link));
    say(this.since, words.age(link.since_ms + stale));
    const last = link.last_line;
    say(this.last, last ? words.age(last.age_ms + stale) : "-");
    say(this.in, words.count(link.lines_in));
    say(this.out, words.count(link.lines_out));
    say(this.ack, link.write_ack_us === null ? "-" : words.micros(link.write_ack_us));
    say(this.line, last ? words.clean(last.text ?? "(deleted)") : "-");
  }
}

/** The page of all links. */
export class LinksPage {
  title = "pblink";
  #rows = new Map();
  #order = "id";
  #reverse = false;

  constructor(store) {
    this.store = store;
    this.filter = el("input", { id: "filter", type: "search", autocomplete: "off", spellcheck: "false", oninput: () => this.update() });
    const states = ["all", "down", "waiting", "up"].map((name) => el("option", { value: name }, name));
    this.state = el("select", { id: "state", onchange: () => this.update() }, ...states);
    const orders = Object.entries(ORDERS).map(([name, order]) => el("option", { value: name }, order.title));
    this.order = el("select", { id: "order", onchange: () => this.#sort(this.order.value, false) }, ...orders);
    const field = (label, input) => el("div", { class: `field ${input.id}` }, el("label", { for: input.id }, label), input);
    const tools = el("div", { class: "tools" }, field("Filter by id or last line", this.filter), field("State", this.state), field("Sort by", this.order));
    this.heads = Object.entries(ORDERS).map(([name, order]) => {
      const button = el("button", { type: "button", class: "sort", onclick: () => this.#sort(name, true) }, order.title);
      return el("th", { scope: "col", "data-order": name, class: ["id", "state"].includes(name) ? null : "number" }, button);
    });
    const head = el("thead", null, el("tr", null, ...this.heads, el("th", { scope: "col" }, "last line")));
    this.body = el("tbody");
    this.table = el("table", { class: "links", "aria-label": "Links" }, head, this.body);
    this.words = el("p", { class: "none" });
    this.timelines = new Timelines(pageOf);
    this.element = el("div", null,
      el("h1", { class: "unseen" }, "Links of this server"),
      part("Links", tools, this.table, this.words),
      part("Outages", this.timelines.element));
    this.#mark();
  }

  stop() {}

  #sort(name, turns) {
    this.#reverse = turns && this.#order === name && !this.#reverse;
    this.#order = name;
    this.order.value = name;
    this.#mark();
    this.update();
  }

  #mark() {
    for (const head of this.heads) {
      const sorted = head.dataset.order === this.#order;
      mark(head, "aria-sort", sorted ? (this.#reverse ? "descending" : "ascending") : null);
    }
  }

  #chosen() {
    const text = this.filter.value.toLowerCase();
    const state = this.state.value;
    const fits = (link) =>
      (state === "all" || link.state === state) &&
      [link.id, link.last_line?.text ?? ""].some((part) => part.toLowerCase().includes(text));
    const compare = ORDERS[this.#order].compare;
    const sign = this.#reverse ? -1 : 1;
    return this.store.links.filter(fits).sort((a, b) => sign * compare(a, b) || words.compareIds(a.id, b.id));
  }

  /** Shows the present state. */
  update() {
    const { store } = this;
    const chosen = this.#chosen();
    const shown = chosen.slice(0, SHOWN);
    const there = new Set(shown.map((link) => link.id));
    for (const id of this.#rows.keys()) if (!there.has(id)) this.#rows.delete(id);
    const rows = shown.map((link) => {
      const row = this.#rows.get(link.id) ?? new Row(link.id);
      this.#rows.set(link.id, row);
      row.update(link, store.stale);
      return row.element;
    });
    arrange(this.body, rows);
    this.table.hidden = rows.length === 0;
    say(this.words, this.#remark(chosen.length));
    this.words.hidden = this.words.textContent === "";
    this.timelines.update(store, shown.map((link) => link.id));
  }

  #remark(chosen) {
    const { links, server } = this.store;
    if (chosen > SHOWN) return `The first ${SHOWN} of ${chosen} links: the filter finds the others.`;
    if (chosen > 0) return "";
    if (links.length > 0) return "No link passes the filter.";
    if (server === null) return "Waiting for the server.";
    return `No board has connected yet. Boards connect to ${server.listen}; pblink simulate plays one.`;
  }
}
