// When links were down: a day or a week, as a bar, as figures and as a list.

import { arrange, el, mark, svg } from "./dom.js";
import * as words from "./words.js";

const HOUR = 3_600_000;

/** The lengths of time that can be shown. */
export const SPANS = {
  day: { name: "24 hours", ms: 24 * HOUR, tick: 6 * HOUR },
  week: { name: "7 days", ms: 168 * HOUR, tick: 24 * HOUR },
};

/** Width and height of a bar in its own units. */
const WIDTH = 1000;
const HEIGHT = 24;

/** The narrowest outage: it has to be seen, too. */
const NARROWEST = 4;

/** Outages of one list. */
const LISTED = 200;

/** Adds up the outages of a link within a span that ends now. Its time before `since` is not known. */
export function sum(outages, absences, since, now, length) {
  const from = now - length;
  const found = { from, now, known: Math.min(Math.max(since, from), now), spans: [], absences: [] };
  Object.assign(found, { listed: [], down: 0, longest: 0 });
  for (const outage of outages) {
    const end = outage.end === "open" ? now : outage.ended_ms;
    const began = Math.min(outage.began_ms, now);
    if ((end ?? began) < from) continue;
    found.listed.push(outage);
    const left = Math.max(began, from);
    // From an outage on, something is known of the link.
    found.known = Math.min(found.known, left);
    if (end === null) continue;
    const right = Math.max(Math.min(end, now), left);
    found.spans.push([left, right]);
    found.down += right - left;
    found.longest = Math.max(found.longest, right - left);
  }
  for (const [began, ended] of absences) {
    if (ended < from) continue;
    found.absences.push([Math.max(began, from), Math.min(ended, now)]);
    found.known = Math.min(found.known, Math.max(began, from));
  }
  const known = now - found.known;
  found.availability = known > 0 ? Math.max(0, known - found.down) / known : null;
  return found;
}

/** Says in words what a bar shows. */
export function describe(id, sums, span) {
  const { listed, down, longest, availability, absences } = sums;
  const parts = [`${id}, last ${span.name}: ${words.many(listed.length, "outage")}`];
  if (down > 0) parts.push(`${words.span(down)} down`, `longest ${words.span(longest)}`);
  if (availability !== null) parts.push(`${words.percent(availability)} available`);
  if (absences.length > 0) parts.push(`the server itself was away ${absences.length === 1 ? "once" : `${absences.length} times`}`);
  return parts.join(", ");
}

function ticks(sums, span) {
  const found = [];
  const first = new Date(sums.from);
  first.setMinutes(0, 0, 0);
  if (span.tick >= 24 * HOUR) first.setHours(0);
  for (const at = first; at.getTime() <= sums.now; ) {
    if (at.getTime() > sums.from && at.getHours() % (span.tick / HOUR) === 0) found.push(at.getTime());
    // By the calendar: days of 23 and 25 hours have ticks at midnight, too.
    if (span.tick >= 24 * HOUR) at.setDate(at.getDate() + 1);
    else at.setHours(at.getHours() + 1);
  }
  return found;
}

const place = (sums, ms) => ((ms - sums.from) / (sums.now - sums.from)) * WIDTH;

function box(sums, [left, right], kind, title) {
  const x = place(sums, left);
  const width = Math.max(NARROWEST, place(sums, right) - x);
  const attributes = { class: kind, x: Math.min(x, WIDTH - width).toFixed(1), y: 0, width: width.toFixed(1), height: HEIGHT };
  return svg("rect", attributes, svg("title", null, title));
}

/** Draws a bar. It is for the eye only: its words stand beside it. */
export function draw(sums, span) {
  const bar = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "bar", "aria-hidden": "true" });
  const edge = place(sums, sums.known);
  const whole = { y: 0, height: HEIGHT };
  bar.append(svg("rect", { class: "unknown", x: 0, width: edge.toFixed(1), ...whole }));
  bar.append(svg("rect", { class: "up", x: edge.toFixed(1), width: (WIDTH - edge).toFixed(1), ...whole }));
  for (const at of ticks(sums, span)) {
    const x = place(sums, at).toFixed(1);
    bar.append(svg("line", { class: "tick", x1: x, x2: x, y1: 0, y2: HEIGHT }));
  }
  for (const [left, right] of sums.spans) {
    bar.append(box(sums, [left, right], "down", `down for ${words.span(right - left)} from ${words.time(left)}`));
  }
  for (const [left, right] of sums.absences) {
    bar.append(box(sums, [left, right], "away", `no server for ${words.span(right - left)} from ${words.time(left)}`));
  }
  return bar;
}

const hour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric" });

/** Draws the times under bars. */
export function axis(now, span) {
  const sums = { from: now - span.ms, now };
  const row = el("div", { class: "axis", "aria-hidden": "true" });
  for (const at of ticks(sums, span)) {
    const share = place(sums, at) / WIDTH;
    // One at the edge would be cut off.
    if (share < 0.04 || share > 0.93) continue;
    const label = el("span", null, (span.tick >= 24 * HOUR ? weekday : hour).format(at));
    label.style.left = `${(share * 100).toFixed(2)}%`;
    row.append(label);
  }
  row.append(el("span", { class: "now" }, "now"));
  return row;
}

/** Returns the key to the colours. */
export function legend() {
  const item = (kind, text) => {
    const sample = svg("svg", { viewBox: "0 0 16 12", class: "sample", "aria-hidden": "true" });
    sample.append(svg("rect", { class: kind, width: 16, height: 12 }));
    return el("li", null, sample, text);
  };
  const items = [item("up", "up"), item("down", "down"), item("away", "no server"), item("unknown", "not known")];
  return el("ul", { class: "legend" }, ...items);
}

/** Says why a link was down, as far as that is known. */
function why(outage) {
  if (outage.layer === "server" && ["shutdown", "server_died"].includes(outage.cause)) {
    return `no server: ${words.cause(outage.cause)}`;
  }
  const parts = [];
  if (outage.layer) parts.push(`likely ${words.layer(outage.layer)}`);
  if (outage.cause) parts.push(words.cause(outage.cause));
  if (outage.finding) parts.push(words.finding(outage.finding));
  return parts.join(", ") || "its begin was not seen";
}

function lasted(outage) {
  if (outage.end === "open") return "lasts";
  return outage.lasted_ms === null ? "end not known" : words.span(outage.lasted_ms);
}

/** Lists outages, the newest first. */
export function list(outages, label) {
  if (outages.length === 0) return el("p", { class: "none" }, "No outage.");
  const head = el("tr", null, ...["Began", "Lasted", "Why"].map((title) => el("th", { scope: "col" }, title)));
  const rows = outages.slice(-LISTED).reverse().map((outage) => {
    const began = el("time", { datetime: outage.began }, words.time(outage.began_ms));
    return el("tr", null, el("td", null, began), el("td", null, lasted(outage)), el("td", null, why(outage)));
  });
  const table = el("table", { class: "outages", "aria-label": label }, el("thead", null, head), el("tbody", null, ...rows));
  if (outages.length <= LISTED) return table;
  return el("div", null, table, el("p", { class: "none" }, `The newest ${LISTED} of ${outages.length}.`));
}

/** Returns the switch between the lengths of time. `changed` gets the name of the one that is chosen. */
export function lengths(chosen, changed) {
  const buttons = Object.entries(SPANS).map(([name, span]) =>
    el("button", { type: "button", "data-span": name, onclick: () => changed(name) }, span.name));
  const group = el("div", { class: "switch", role: "group", "aria-label": "Length of time" }, ...buttons);
  show(group, chosen);
  return group;
}

/** Shows in a switch which length is chosen. */
export function show(group, chosen) {
  for (const button of group.children) mark(button, "aria-pressed", String(button.dataset.span === chosen));
}

/** A bar with its figures. The bar is a button: it opens the list of the outages. */
export class Row {
  #key = "";
  #open = false;
  #list = el("div", { class: "list", hidden: true });

  constructor(id, href) {
    this.id = id;
    const name = words.clean(id);
    this.button = el("button", { type: "button", class: "bar-button", "aria-expanded": "false", onclick: () => this.#toggle() });
    const title = href ? el("a", { class: "id", href }, name) : null;
    this.figures = el("dl", { class: "figures" });
    this.element = el("li", { class: "timeline" }, el("div", { class: "timeline-head" }, title, this.figures), this.button, this.#list);
    // On the page of one link there is room for its list.
    if (!href) this.#toggle();
  }

  #toggle() {
    this.#open = !this.#open;
    mark(this.button, "aria-expanded", String(this.#open));
    this.#list.hidden = !this.#open;
  }

  /** Shows these sums; `key` says if they are others than those that are shown. */
  update(sums, span, key) {
    if (key === this.#key) return;
    this.#key = key;
    const name = words.clean(this.id);
    const text = describe(name, sums, span);
    mark(this.button, "aria-label", `${text}. List of outages`);
    this.button.replaceChildren(draw(sums, span));
    const figure = (title, value) => el("div", null, el("dt", null, title), el("dd", null, value));
    const length = (ms) => (ms === 0 ? "-" : words.span(ms));
    this.figures.replaceChildren(
      figure("outages", words.count(sums.listed.length)),
      figure("down", length(sums.down)),
      figure("longest", length(sums.longest)),
      figure("available", sums.availability === null ? "-" : words.percent(sums.availability)),
    );
    this.#list.replaceChildren(list(sums.listed, `Outages of ${name}, last ${span.name}`));
  }
}

/** The bars of some links. */
export class Timelines {
  #rows = new Map();
  #span = "day";
  #list = el("ul", { class: "timelines" });
  #axis = el("div");
  #axisKey = "";

  /** `href` gives the page of a link; without it the ids are not shown. */
  constructor(href) {
    this.href = href;
    this.switch = lengths(this.#span, (name) => this.#choose(name));
    const head = el("div", { class: "tools" }, this.switch, legend());
    this.element = el("div", null, head, this.#list, this.#axis);
  }

  #choose(name) {
    this.#span = name;
    show(this.switch, name);
    if (this.shown) this.update(...this.shown);
  }

  /** Shows these links, in this order. */
  update(store, ids) {
    this.shown = [store, ids];
    const span = SPANS[this.#span];
    const now = Date.now();
    // A bar moves by less than a pixel a minute.
    const step = Math.floor(now / 10_000);
    if (this.#axisKey !== `${this.#span} ${step}`) {
      this.#axisKey = `${this.#span} ${step}`;
      this.#axis.replaceChildren(axis(now, span));
    }
    const wanted = new Set(ids);
    for (const id of this.#rows.keys()) if (!wanted.has(id)) this.#rows.delete(id);
    const byId = Map.groupBy(store.outages.values(), (outage) => outage.client);
    const rows = ids.map((id) => {
      const row = this.#rows.get(id) ?? new Row(id, this.href?.(id));
      this.#rows.set(id, row);
      const outages = byId.get(id) ?? [];
      const last = outages.at(-1);
      const key = [this.#span, step, store.absences.length, store.since, outages.length, last?.end, last?.finding, last?.number].join(" ");
      row.update(sum(outages, store.absences, store.since, now, span.ms), span, key);
      return row.element;
    });
    arrange(this.#list, rows);
    // The list of one link is open: the times stand before it.
    if (!this.href) this.#rows.get(ids[0])?.button.after(this.#axis);
  }
}
