// The state of the server as the page knows it: asked for once a second, all of it bounded.

import { get, Refused } from "./api.js";

/** Milliseconds between two looks, and between those of a page that nobody sees. */
const LOOK = 1000;
const HIDDEN_LOOK = 10_000;

/** Milliseconds of a week, the longest that is shown. */
const WEEK = 7 * 86_400_000;

/** Looks kept of a link, and links of which they are kept. */
const RATES = 600;
const WATCHED = 1000;

export class Store {
  /** The server, as `/api/v1/server` describes it; null until it has answered. */
  server = null;
  /** The links, and the clock of the page at which they came. */
  links = [];
  linksAt = 0;
  /** Outages of the last week by their number, and the server's own absences. */
  outages = new Map();
  absences = [];
  /** The time from which on something is known, in milliseconds since 1970. */
  since = Infinity;
  /** Looks at links by id: time, lines a second, write→ack in µs. */
  rates = new Map();
  /** `connecting`, `live`, `lost`, `token` or `refused`, since when, and why. */
  connection = { state: "connecting", since: performance.now(), why: "" };

  #revision = 0;
  #changed;
  #timer = null;
  #looking = false;

  /** Calls `changed` after each look, and each second without one. */
  constructor(changed) {
    this.#changed = changed;
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
  }

  /** Returns a link by its id. */
  link(id) {
    return this.links.find((link) => link.id === id);
  }

  /** True if the server answers. */
  get live() {
    return this.connection.state === "live";
  }

  /** Returns the milliseconds that have passed since the links came. They do not age while there is no server. */
  get stale() {
    const until = this.connection.state === "lost" ? this.connection.since : performance.now();
    return Math.max(0, until - this.linksAt);
  }

  /** Returns the outages of a link, oldest first. */
  outagesOf(id) {
    return [...this.outages.values()].filter((outage) => outage.client === id);
  }

  /** Looks now, and from then on regularly. */
  async look() {
    if (this.#looking) return;
    this.#looking = true;
    clearTimeout(this.#timer);
    try {
      await this.#ask();
      this.#enter("live", "");
    } catch (error) {
      if (!(error instanceof Refused)) this.#enter("lost", String(error.message ?? error));
      else this.#enter(error.status === 401 ? "token" : "refused", error.message);
    }
    this.#looking = false;
    this.#changed();
    // Whoever has no token is not asked each second.
    if (this.connection.state !== "token") {
      this.#timer = setTimeout(() => this.look(), document.hidden ? HIDDEN_LOOK : LOOK);
    }
  }

  #enter(state, why) {
    if (this.connection.state !== state) this.connection = { state, since: performance.now(), why };
    this.connection.why = why;
  }

  async #ask() {
    const server = await get("/api/v1/server");
    if (server.started_at_ms !== this.server?.started_at_ms) {
      // Outages are numbered anew by each run of the server.
      const { events } = await get("/api/v1/events?kind=listening,server_was_down&from=7d");
      const absences = events.filter((event) => event.event === "server_was_down");
      this.absences = absences.map((event) => [event.began_ms, event.began_ms + event.lasted_ms]);
      // A server ran before it was away, and from the moment at which it listened.
      const known = events.map((event) => event.began_ms ?? event.at_ms);
      this.since = Math.min(server.started_at_ms, ...known);
      this.#revision = 0;
      this.outages.clear();
    }
    const [links, changes] = await Promise.all([
      get("/api/v1/links"),
      get(`/api/v1/outages?since=7d&after=${this.#revision}`),
    ]);
    this.server = server;
    this.links = links;
    this.linksAt = performance.now();
    this.#revision = changes.revision;
    for (const outage of changes.outages) this.outages.set(outage.number, outage);
    const oldest = Date.now() - WEEK;
    for (const [number, outage] of this.outages) {
      if (outage.end !== "open" && (outage.ended_ms ?? outage.began_ms) < oldest) this.outages.delete(number);
    }
    this.#watch();
  }

  #watch() {
    const there = new Set(this.links.map((link) => link.id));
    for (const id of this.rates.keys()) if (!there.has(id)) this.rates.delete(id);
    for (const link of this.links.slice(0, WATCHED)) {
      const seen = this.rates.get(link.id) ?? { lines: null, at: 0, looks: [] };
      const lines = link.lines_in + link.lines_out;
      const passed = this.linksAt - seen.at;
      if (seen.lines !== null && passed >= LOOK / 2) {
        // Fewer lines than before: another run of the server.
        const rate = Math.max(0, lines - seen.lines) / (passed / 1000);
        seen.looks.push({ at: Date.now(), rate, ack: link.write_ack_us });
        if (seen.looks.length > RATES) seen.looks.shift();
      }
      if (seen.lines === null || passed >= LOOK / 2) Object.assign(seen, { lines, at: this.linksAt });
      this.rates.set(link.id, seen);
    }
  }
}
