// One link: everything about it.

import { get } from "./api.js";
import { Chart } from "./chart.js";
import { el, mark, part, say } from "./dom.js";
import { Lines } from "./lines.js";
import { SendForm } from "./send.js";
import { Timelines } from "./timeline.js";
import * as words from "./words.js";

/** Milliseconds between two looks at the reports: a board sends one every 10 s or less often. */
const LOOK = 5000;

/** The same while there is no server. */
const SOON = 200;

/** Reports that are drawn. */
const SAMPLES = 500;

const optional = (value, form) => (value === null || value === undefined ? "-" : form(value));

/** What the server has seen, in words. It sees TCP only. */
const OBSERVED = {
  up: "connected",
  refused: "refused",
  never_connected: "never connected",
  no_signal: "no signal",
  closed_by_other_side: "closed by the other side",
  reset: "connection reset",
  not_reading: "takes no bytes",
  closed_here: "closed by the server",
  other: "not known",
};

const FACTS = [
  ["seen", (link) => OBSERVED[link.observed] ?? link.observed],
  ["peer", (link) => optional(link.peer, String) + (link.gateway ? ` by ${link.gateway}` : "")],
  ["key", (link) => optional(link.key, String)],
  ["lines in", (link) => words.count(link.lines_in)],
  ["lines out", (link) => words.count(link.lines_out)],
  ["waiting", (link) => words.count(link.waiting)],
  ["write→ack", (link) => optional(link.write_ack_us, words.micros)],
  ["connects", (link) => words.count(link.connects)],
  ["resent", (link) => words.count(link.retransmissions)],
  ["duplicates", (link) => words.count(link.duplicates)],
  ["report", (link) => optional(link.report_number, words.count)],
  ["free memory", (link) => optional(link.mem_free, words.bytes)],
];

/** Returns links to what the API has of a link, as JSON and as a table. */
function exports(id) {
  const client = encodeURIComponent(id);
  const item = (title, path, note) => {
    const name = title.toLowerCase();
    const link = (form) =>
      el("a", { href: `${path}&format=${form}`, download: `${id}-${name}.${form}`.replaceAll(/[^\w.-]+/g, "_"), "aria-label": `${title} as ${form.toUpperCase()}` }, form.toUpperCase());
    return el("li", null, el("span", { class: "what" }, title), link("csv"), link("json"), note ? el("span", { class: "hint" }, note) : null);
  };
  return el("ul", { class: "exports" },
    item("Outages", `/api/v1/outages?client=${client}`),
    item("Reports", `/api/v1/reports?client=${client}`),
    item("Lines", `/api/v1/lines?client=${client}&since=24h&limit=1000`,
      "the first 1000 of the last 24 hours; the API goes on from there"));
}

/** The page of a link. */
export class LinkPage {
  #stopped = false;
  #samples = [];
  #revision = 0;
  #run = null;

  constructor(store, id, ask) {
    this.store = store;
    this.id = id;
    const name = words.clean(id);
    this.title = `${name} · pblink`;
    this.symbol = el("span", { class: "symbol", "aria-hidden": "true" });
    this.state = el("span");
    this.badge = el("p", { class: "badge" }, this.symbol, this.state);
    this.words = el("p", { class: "notice", hidden: true });
    this.last = el("p", { class: "last-line" });
    this.facts = FACTS.map(([title, value]) => ({ value, shown: el("dd"), title }));
    const facts = this.facts.map(({ title, shown }) => el("div", null, el("dt", null, title), shown));
    this.timelines = new Timelines(null);
    this.memory = new Chart("Free memory", words.bytes, null);
    this.ack = new Chart("write→ack", words.micros, 0);
    this.rate = new Chart("Lines a second", (value) => `${value.toFixed(1)}/s`, 0);
    this.lines = new Lines(id, () => store.live);
    this.send = new SendForm(id, ask);
    const charts = [this.memory, this.ack, this.rate].map((chart) => chart.element);
    this.element = el("div", { class: "link-page" },
      el("a", { class: "back", href: "#/" }, "← All links"),
      el("div", { class: "title" }, el("h1", null, name), this.badge),
      this.words,
      this.last,
      el("dl", { class: "facts" }, ...facts),
      part("Outages", this.timelines.element),
      part("Charts", el("div", { class: "charts" }, ...charts)),
      part("Send", this.send.element),
      part("Lines", this.lines.element),
      part("Export", exports(id)));
    this.#reports();
  }

  /** Ends what it has running. */
  stop() {
    this.#stopped = true;
    this.lines.stop();
    this.send.stop();
  }

  async #reports() {
    while (!this.#stopped) {
      try {
        if (this.store.live) await this.#look();
      } catch {
        // The server, or the session, has just gone: the next look finds it again.
      }
      await new Promise((resume) => setTimeout(resume, this.store.live ? LOOK : SOON));
    }
  }

  async #look() {
    const run = this.store.server.started_at_ms;
    if (run !== this.#run) {
      this.#run = run;
      this.#revision = 0;
      this.#samples = [];
    }
    const path = `/api/v1/reports?client=${encodeURIComponent(this.id)}&after=${this.#revision}`;
    const { revision, reports } = await get(path);
    this.#revision = revision;
    const samples = reports.flatMap((of) => of.samples.map((sample) => [sample.at_ms, sample.mem_free]));
    this.#samples = [...this.#samples, ...samples].slice(-SAMPLES);
  }

  /** Shows the present state. */
  update() {
    const { store, id } = this;
    const link = store.link(id);
    this.words.hidden = link !== undefined || store.server === null;
    if (link === undefined) {
      say(this.words, `The server does not know ${words.clean(id)}.`);
      return;
    }
    mark(this.badge, "data-state", link.state);
    say(this.symbol, words.symbol(link));
    say(this.state, `${words.state(link)} for ${words.age(link.since_ms + store.stale)}`);
    const last = link.last_line;
    say(this.last, last ? `Last line ${words.age(last.age_ms + store.stale)} ago: ${words.clean(last.text ?? "(deleted)")}` : "No line yet.");
    for (const { value, shown } of this.facts) say(shown, words.clean(value(link)));
    this.timelines.update(store, [id]);
    this.memory.update(this.#samples);
    const looks = store.rates.get(id)?.looks ?? [];
    this.ack.update(looks.map(({ at, ack }) => [at, ack]));
    this.rate.update(looks.map(({ at, rate }) => [at, rate]));
  }
}
