// Small charts: a line over time, with the unit and both axes in words.

import { el, mark, say, svg } from "./dom.js";
import { clean, span, time } from "./words.js";

const WIDTH = 300;
const HEIGHT = 80;

/** A chart that is drawn anew when there are other values. */
export class Chart {
  #key = "";

  /** `unit` formats a value; `least` is the lower end of the axis, null for the lowest value. */
  constructor(title, unit, least) {
    this.title = title;
    this.unit = unit;
    this.least = least;
    this.now = el("span", { class: "value" });
    this.most = el("span");
    this.low = el("span");
    this.from = el("span");
    this.drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this.empty = el("p", { class: "none" }, "Nothing yet.");
    const y = el("div", { class: "y", "aria-hidden": "true" }, this.most, this.low);
    const x = el("div", { class: "x", "aria-hidden": "true" }, this.from, el("span", null, "now"));
    this.plot = el("div", { class: "plot" }, y, this.drawing, x);
    this.element = el("figure", { class: "chart" }, el("figcaption", null, title, this.now), this.plot, this.empty);
  }

  /** Shows points `[ms, value]`, oldest first; a null value is a gap. */
  update(points) {
    const known = points.filter(([, value]) => value !== null);
    const key = `${known.length} ${known.at(-1)} ${known[0]}`;
    if (key === this.#key) return;
    this.#key = key;
    const there = known.length > 1;
    this.plot.hidden = !there;
    this.empty.hidden = there;
    say(this.now, known.length ? this.unit(known.at(-1)[1]) : "-");
    if (!there) return;
    const values = known.map(([, value]) => value);
    const lowest = Math.min(...values);
    const high = Math.max(...values);
    const low = this.least ?? lowest;
    const [begin, end] = [known[0][0], known.at(-1)[0]];
    const x = (ms) => ((ms - begin) / Math.max(1, end - begin)) * WIDTH;
    // A flat line lies in the middle, one of noughts on the floor.
    const level = this.least === null ? HEIGHT / 2 : HEIGHT - 2;
    const y = (value) => (high > low ? HEIGHT - 2 - ((value - low) / (high - low)) * (HEIGHT - 4) : level);
    let path = "";
    let pen = "M";
    for (const [ms, value] of points) {
      if (value === null) {
        pen = "M";
        continue;
      }
      path += `${pen}${x(ms).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    }
    const line = svg("path", { d: path, class: "curve" });
    const floor = svg("line", { class: "tick", x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1 });
    this.drawing.replaceChildren(floor, line);
    const floored = high === this.least;
    say(this.most, floored ? "" : this.unit(high));
    say(this.low, floored || high > low ? this.unit(low) : "");
    say(this.from, `${span(end - begin)} ago`);
    const now = this.unit(known.at(-1)[1]);
    const words = `${this.title}: between ${this.unit(lowest)} and ${this.unit(high)} since ${time(begin)}, now ${now}`;
    mark(this.drawing, "aria-label", clean(words));
  }
}
