// Ages, lengths, sizes, counts and names, as `pblink monitor` has them.

/** Formats an age in one unit. */
export function age(ms) {
  const s = Math.floor(Math.max(0, ms) / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

/** Formats a length of time, exact enough to compare. */
export function span(ms) {
  ms = Math.floor(Math.max(0, ms));
  const s = Math.floor(ms / 1000);
  if (s === 0) return `${ms} ms`;
  if (s < 60) return `${s}.${Math.floor((ms % 1000) / 100)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

/** Formats microseconds. */
export function micros(us) {
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 10_000) return `${Math.floor(us / 1000)}.${Math.floor((us % 1000) / 100)} ms`;
  if (us < 1_000_000) return `${Math.floor(us / 1000)} ms`;
  return span(us / 1000);
}

function prefixed(n) {
  const [unit, prefix] = n < 1e6 ? [1e3, "k"] : n < 1e9 ? [1e6, "M"] : [1e9, "G"];
  const value = n / unit;
  return value < 100 ? `${(Math.floor(value * 10) / 10).toFixed(1)} ${prefix}` : `${Math.floor(value)} ${prefix}`;
}

/** Formats a size, with decimal prefixes. */
export const bytes = (n) => (n < 1000 ? `${Math.round(n)} B` : `${prefixed(n)}B`);

/** Formats a count. */
export function count(n) {
  if (n < 100_000) return String(n);
  return n < 1_000_000 ? `${Math.floor(n / 1000)} k` : prefixed(n);
}

/** Formats a number with its noun, such as `1 outage`. */
export const many = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** Formats a part of one as a percentage: cut, never rounded up to 100. */
export function percent(part) {
  const ppm = Math.floor(part * 1e6 + 1e-6);
  return `${Math.floor(ppm / 10_000)}.${String(Math.floor((ppm % 10_000) / 100)).padStart(2, "0")} %`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit" });

/** Formats a time of this browser's zone, with its date unless that is today. */
export function time(ms, now = Date.now()) {
  const day = date.format(ms);
  return day === date.format(now) ? clock.format(ms) : `${day} ${clock.format(ms)}`;
}

const LAYERS = { wires: "wires", coprocessor: "ESP8266", wifi: "WiFi", server: "server" };

/** Returns the name of a layer; one that this page does not know by its own. */
export const layer = (name) => LAYERS[name] ?? name;

const CAUSES = {
  silent: "silent for the time-out",
  closed_by_peer: "closed by the client",
  reset: "connection reset",
  slow_reader: "client does not read",
  line_too_long: "line too long",
  taken_over: "client connected anew",
  closed_by_application: "closed by the application",
  not_expected: "no longer in the list of clients",
  keys_changed: "its keys were changed or revoked",
  shutdown: "server shut down",
  server_died: "server was killed or lost its power",
};

/** Describes the cause of an outage. */
export const cause = (name) => CAUSES[name] ?? name;

const FINDINGS = { esp8266_restarted: "the ESP8266 restarted", esp8266_kept_running: "the ESP8266 kept running" };

/** Describes a board's own proof of what was down. */
export const finding = (name) => FINDINGS[name] ?? name;

/** Names the state of a link, with the layer that is down. */
export function state(link) {
  return link.state === "down" ? `${layer(link.layer)} down` : link.state;
}

/** Returns the symbol of a state, for those who see no colours. */
export const symbol = (link) => ({ up: "●", waiting: "○" })[link.state] ?? "✗";

/** Makes text of a board safe to look at: what is invisible, or turns the text round, is shown as `�`. */
export const clean = (text) => text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\u{fffd}");

/** Says which of the servers that share a log leads, and how many others stand by. One that is silent for 10 s counts as gone. */
export function gateways(list) {
  const leader = list?.find((gateway) => gateway.leads);
  if (!leader) return null;
  const others = list.filter((gateway) => !gateway.leads);
  const silent = others.filter((gateway) => gateway.heard_ms > 10_000).length;
  const there = others.length - silent;
  const text = `${clean(leader.name)} leads, ${there} ${there === 1 ? "stands" : "stand"} by`;
  const differ = others.some((gateway) => gateway.other_keys);
  return text + (silent > 0 ? `, ${silent} silent` : "") + (differ ? ", keys differ" : "");
}

/** Compares ids: numbers by value, then the rest. */
export function compareIds(a, b) {
  const [x, y] = [a, b].map((id) => (/^\d{1,15}$/.test(id) ? Number(id) : null));
  if ((x === null) !== (y === null)) return x === null ? 1 : -1;
  return (x ?? 0) - (y ?? 0) || (a < b ? -1 : a > b ? 1 : 0);
}
