// A line to a board, and what became of it.

import { newKey, Refused, send } from "./api.js";
import { el, say } from "./dom.js";
import { clean, span } from "./words.js";

/** Sent lines that are shown. */
const SHOWN = 10;

/** Milliseconds before an answer that was lost is asked for again. */
const PAUSE = 1000;

/** Seconds for which one request waits for the board. */
const WAIT = 30;

/** The form for a link. `ask` opens the form for the token, and returns false if there is none. */
export class SendForm {
  #stopped = false;

  constructor(id, ask) {
    this.id = id;
    this.ask = ask;
    this.input = el("input", { id: "line", type: "text", autocomplete: "off", spellcheck: "false", maxlength: "1024", required: true });
    const label = el("label", { for: "line" }, `Line to ${clean(id)}`);
    const button = el("button", { type: "submit" }, "Send");
    const form = el("form", { class: "send", onsubmit: (event) => this.#submit(event) }, label, el("div", { class: "row" }, this.input, button));
    this.sent = el("ul", { class: "sent", "aria-label": "Sent lines" });
    this.element = el("div", null, form, this.sent);
  }

  /** Asks no more for what became of its lines. */
  stop() {
    this.#stopped = true;
  }

  #submit(event) {
    event.preventDefault();
    const line = this.input.value;
    if (line === "") return;
    this.input.value = "";
    const state = el("span", { class: "outcome" });
    const item = el("li", null, el("span", { class: "text" }, clean(line)), state);
    this.sent.prepend(item);
    while (this.sent.children.length > SHOWN) this.sent.lastElementChild.remove();
    const tell = (kind, words) => {
      item.dataset.outcome = kind;
      say(state, words);
    };
    this.#deliver(line, tell);
  }

  async #deliver(line, tell) {
    const key = newKey();
    const began = performance.now();
    tell("waits", "on its way to the server");
    // The same key each time: whatever is lost, the line is there once.
    for (let wait = 0; !this.#stopped; ) {
      try {
        const { acknowledged } = await send(this.id, line, key, wait);
        if (acknowledged) return tell("done", `acknowledged by the board after ${span(performance.now() - began)}`);
        tell("waits", "in the log, waits for the board");
        wait = WAIT;
      } catch (error) {
        if (!(error instanceof Refused)) {
          tell("waits", "no answer from the server, trying again");
        } else if (error.status === 401) {
          tell("waits", "needs the token");
          if (await this.ask(error.message, true)) continue;
          return tell("refused", "not sent: it needs the token");
        } else if (error.status !== 503) {
          return tell("refused", `refused: ${error.message}`);
        }
        await new Promise((resume) => setTimeout(resume, PAUSE));
      }
    }
  }
}
