// The lines of a link: the last ones, and then each as it passes.

import { get, Refused, stream } from "./api.js";

/** Lines that are kept, and shown. */
export const KEPT = 500;

/** Windows of the past: the first that has enough lines is shown. */
const WINDOWS = ["30s", "10min", "6h", "7d"];
const ENOUGH = 100;

/** Requests for one window. Each gives up to 1000 lines. */
const PAGES = 8;

/** Milliseconds before it is tried again. */
const PAUSE = 500;

/** Follows a link until it is stopped. */
export class Feed {
  #stop = new AbortController();
  #hidden = new AbortController();
  #log = null;
  #after = null;

  /**
   * `hear` gets what happens: `{ lines }` in the order of the log, `{ begins: words }` when nothing before
   * counts any more, and `{ gap: words }` where lines are missing. `live` says whether the server answers.
   */
  constructor(id, live, hear) {
    this.id = id;
    this.live = live;
    this.hear = hear;
    document.addEventListener("visibilitychange", () => this.#hide(), { signal: this.#stop.signal });
  }

  /** Ends the stream of a page that nobody sees: browsers and servers have only a few. It goes on from its place. */
  #hide() {
    if (document.hidden) this.#hidden.abort();
    else this.#hidden = new AbortController();
  }

  get #may() {
    return this.live() && !document.hidden;
  }

  /** Ends it. */
  stop() {
    this.#stop.abort();
  }

  /** Runs until it is stopped, whatever becomes of the server. */
  async run() {
    while (!this.#stop.signal.aborted) {
      try {
        if (this.#may && this.#after === null) await this.#past();
        if (this.#may) await this.#follow();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (error instanceof Refused) this.#refused(error);
      }
      await new Promise((resume) => setTimeout(resume, PAUSE));
    }
  }

  #path(more) {
    const log = this.#log === null ? "" : `&log=${encodeURIComponent(this.#log)}`;
    return `/api/v1/lines?client=${encodeURIComponent(this.id)}${log}&${more}`;
  }

  async #past() {
    let shown = null;
    for (const window of WINDOWS) {
      const found = await this.#window(window);
      // More than can be read: what the shorter one had is enough.
      if (found === null && shown !== null) break;
      shown = found ?? (await this.#end());
      if (shown.lines.length >= ENOUGH) break;
    }
    this.#log = shown.log;
    this.#after = shown.after;
    this.hear({ lines: shown.lines });
  }

  async #window(since) {
    let page = await get(this.#path(`limit=1000&since=${since}`));
    let lines = page.lines;
    for (let pages = 1; page.after < page.head; pages++) {
      if (pages === PAGES) return null;
      page = await get(this.#path(`limit=1000&after=${page.after}`));
      lines = [...lines, ...page.lines].slice(-KEPT);
    }
    return { log: page.log, after: page.after, lines: lines.slice(-KEPT) };
  }

  async #end() {
    const { log, after } = await get(this.#path("limit=1&after=end"));
    return { log, after, lines: [] };
  }

  async #follow() {
    const signal = AbortSignal.any([this.#stop.signal, this.#hidden.signal]);
    for await (const { event, data, id } of stream(this.#path("after=end"), this.#after, signal)) {
      if (event === "line") this.hear({ lines: [JSON.parse(data)] });
      if (event === "gap") this.hear({ gap: this.#gap(JSON.parse(data)) });
      if (id !== null) this.#after = Number(id);
    }
  }

  #gap({ lines }) {
    return `${lines} lines of the log were deleted before they could be shown`;
  }

  #refused(error) {
    if (error.status === 409) {
      this.#log = null;
      this.#after = null;
      this.hear({ begins: "The server has another log now: its lines begin anew." });
    } else if (error.status === 410) {
      this.#after = error.words.first - 1;
      this.hear({ gap: "Lines were deleted before they could be shown." });
    } else if (error.status === 501) {
      this.hear({ begins: error.message });
      this.stop();
    }
  }
}
