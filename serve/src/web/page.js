// The page: which part of it is shown, and the state of the connection to the server.

import { askForToken } from "./access.js";
import { mark, say } from "./dom.js";
import { LinkPage } from "./link.js";
import { LinksPage } from "./links.js";
import { Store } from "./store.js";
import { age, clean, gateways } from "./words.js";

const place = document.getElementById("view");
const store = new Store(update);
let shown = null;

/** Returns the id of the link that the address names, or null. */
function chosen() {
  const [, id] = /^#\/link\/(.+)$/.exec(location.hash) ?? [];
  try {
    return id === undefined ? null : decodeURIComponent(id);
  } catch {
    return null;
  }
}

function open() {
  shown?.stop();
  const id = chosen();
  shown = id === null ? new LinksPage(store) : new LinkPage(store, id, askForToken);
  document.title = shown.title;
  place.replaceChildren(shown.element);
  update();
}

const WORDS = {
  connecting: "connecting",
  live: "live",
  lost: "no server, trying again",
  token: "needs the token",
  refused: "refused",
};

function update() {
  const { connection, server, links } = store;
  mark(document.getElementById("connection"), "data-state", connection.state);
  const words = connection.state === "refused" ? connection.why : WORDS[connection.state];
  // These words are read aloud when they change; the time beside them is not.
  say(document.getElementById("connection-words"), words);
  const time = document.getElementById("connection-time");
  say(time, connection.state === "lost" ? `(${age(performance.now() - connection.since)})` : "");
  if (server !== null) {
    const up = links.filter((link) => link.state === "up").length;
    const facts = [`${up}/${links.length} up`, clean(server.listen), gateways(server.gateways), clean(server.version)];
    say(document.getElementById("server"), facts.filter((fact) => fact !== null).join(" · "));
  }
  const held = document.getElementById("held");
  held.hidden = !server?.log?.held;
  say(held, server?.log?.held ? `Lines wait at their boards: ${server.log.held}` : "");
  shown?.update();
  if (connection.state === "token") ask();
}

let asking = false;

async function ask() {
  if (asking) return;
  asking = true;
  await askForToken(store.connection.why, false);
  asking = false;
  store.look();
}

addEventListener("hashchange", () => {
  open();
  // A new page begins at its top, for the eye and for the keyboard.
  scrollTo(0, 0);
  document.getElementById("main").focus({ preventScroll: true });
});

// Its address is no page of its own.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});

open();
store.look();
