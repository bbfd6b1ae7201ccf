// The lines of a link on the screen.

import { el, mark, say } from "./dom.js";
import { Feed, KEPT } from "./feed.js";
import { clean, time } from "./words.js";

function row(line) {
  return el("li", { "data-offset": line.offset },
    el("time", { datetime: line.time }, time(line.at_ms)),
    el("span", { class: "text" }, clean(line.text)));
}

const note = (words) => el("li", { class: "note" }, words);

/** The list, newest first, with a button that holds it. */
export class Lines {
  #paused = false;
  #waiting = [];
  #held = 0;

  constructor(id, live) {
    this.list = el("ol", { class: "lines" });
    this.none = el("p", { class: "none", hidden: true }, "No line in the last 7 days.");
    this.button = el("button", { type: "button", "aria-pressed": "false", onclick: () => this.#toggle() }, "Pause");
    // It scrolls, so the keyboard has to get into it.
    const label = `Lines of ${clean(id)}, newest first`;
    const box = el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label }, this.none, this.list);
    this.element = el("div", null, el("div", { class: "tools" }, this.button), box);
    this.feed = new Feed(id, live, (what) => this.#hear(what));
    this.feed.run();
  }

  /** Ends it. */
  stop() {
    this.feed.stop();
  }

  #toggle() {
    this.#paused = !this.#paused;
    mark(this.button, "aria-pressed", String(this.#paused));
    if (!this.#paused) {
      this.#show(this.#waiting);
      this.#waiting = [];
      this.#held = 0;
    }
    this.#name();
  }

  #name() {
    const waiting = this.#held > 0 ? ` (${this.#held} new)` : "";
    say(this.button, this.#paused ? `Resume${waiting}` : "Pause");
  }

  #hear({ lines, begins, gap }) {
    if (begins) {
      this.list.replaceChildren();
      this.#waiting = [];
    }
    const rows = lines ? lines.map(row) : [note(begins ?? gap)];
    if (!this.#paused) return this.#show(rows);
    this.#held += lines?.length ?? 0;
    this.#waiting = [...this.#waiting, ...rows].slice(-KEPT);
    this.#name();
  }

  #show(rows) {
    this.list.prepend(...rows.slice().reverse());
    while (this.list.children.length > KEPT) this.list.lastElementChild.remove();
    this.none.hidden = this.list.children.length > 0;
  }
}
