// The API of the server: docs/API.md.

/** Milliseconds after which a request without an answer has failed. */
const PATIENCE = 8000;

/** Milliseconds without a byte after which a stream is dead: the server shows every 5 s that it lives. */
const SILENCE = 15_000;

/** A refusal of the server: its status, and its words. */
export class Refused extends Error {
  constructor(status, words) {
    super(words.error ?? `the server answers ${status}`);
    this.status = status;
    this.words = words;
  }
}

async function answer(response) {
  if (response.ok) return response.status === 204 ? null : response.json();
  const words = await response.json().catch(() => ({}));
  throw new Refused(response.status, words);
}

/** Asks for JSON. */
export async function get(path) {
  const options = { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(PATIENCE), cache: "no-store" };
  return answer(await fetch(path, options));
}

/** Asks for a change. Some browsers name no origin without a referrer, and the server wants to know it. */
async function change(method, path, more, patience) {
  const signal = AbortSignal.timeout(patience);
  return answer(await fetch(path, { method, referrerPolicy: "same-origin", signal, ...more }));
}

/** Trades the token for the cookie. */
export const logIn = (token) => change("POST", "/api/v1/session", { body: JSON.stringify({ token }) }, PATIENCE);

/** Ends the session of the cookie. */
export const logOut = () => change("DELETE", "/api/v1/session", {}, PATIENCE);

/** Returns a key for lines to a board. Not `randomUUID`: browsers have that over TLS only. */
export function newKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return `web-${[...random].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Puts a line for a board into the log. With the same key it may be asked again: nothing is added. */
export async function send(id, line, key, waitSeconds) {
  const path = `/api/v1/links/${encodeURIComponent(id)}/lines?wait=${waitSeconds}s`;
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  return change("POST", path, { headers, body: JSON.stringify({ line }) }, PATIENCE + 1000 * waitSeconds);
}

/** Cuts a stream of events into `{ event, data, id }`; `id` alone moves the place of a stream without events. */
export async function* events(chunks) {
  let rest = "";
  for await (const chunk of chunks) {
    rest += chunk;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const found = { event: null, data: null, id: null };
      for (const line of block.split("\n")) {
        const [, name, value] = /^(event|data|id): ?(.*)$/.exec(line) ?? [];
        if (name) found[name] = value;
      }
      yield found;
    }
  }
}

async function* decoded(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    yield value;
  }
}

/** Opens a stream of events, from behind `after` if that is not null. It fails when it falls silent. */
export async function* stream(path, after, signal) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE);
  };
  try {
    const headers = { Accept: "text/event-stream" };
    if (after !== null) headers["Last-Event-ID"] = String(after);
    const options = { headers, signal: AbortSignal.any([signal, silence.signal]), cache: "no-store" };
    const response = await fetch(path, options);
    if (!response.ok) await answer(response);
    yield* events(decoded(response.body, alive));
  } finally {
    clearTimeout(timer);
  }
}
