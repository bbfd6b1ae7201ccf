// The form that trades the token for the cookie of a session.

import { logIn, logOut, Refused } from "./api.js";
import { say } from "./dom.js";

/** Note of this tab that it has a session: its cookie cannot be seen by scripts. */
const NOTE = "pblink.session";

const part = document.getElementById("access");
const token = document.getElementById("access-token");
const button = document.getElementById("log-out");
const cancel = document.getElementById("access-cancel");
const waiting = [];

button.hidden = sessionStorage.getItem(NOTE) === null;

/** Shows the form. Returns true when the server has taken a token, false if the user has none; that can be only if `may`. */
export function askForToken(why, may) {
  // The rest of the server's words is for programs.
  const place = why.split("; ").at(-1);
  const what = may ? "Sending a line" : "Looking from another machine";
  say(document.getElementById("access-why"), `${what} needs the token of this server; ${place}.`);
  cancel.hidden = !may;
  if (part.hidden) {
    part.hidden = false;
    document.body.classList.add("asks");
    token.focus();
  }
  return new Promise((resume) => waiting.push(resume));
}

function close(taken) {
  token.value = "";
  part.hidden = true;
  document.body.classList.remove("asks");
  for (const resume of waiting.splice(0)) resume(taken);
  document.getElementById("main").focus();
}

async function take(event) {
  event.preventDefault();
  const error = document.getElementById("access-error");
  say(error, "");
  try {
    await logIn(token.value.trim());
  } catch (refused) {
    say(error, refused instanceof Refused ? refused.message : "The server does not answer.");
    token.focus();
    return;
  }
  sessionStorage.setItem(NOTE, "1");
  button.hidden = false;
  close(true);
}

document.getElementById("access-form").addEventListener("submit", take);
cancel.addEventListener("click", () => close(false));

button.addEventListener("click", async () => {
  try {
    await logOut();
  } catch (error) {
    // A session that the server does not know any more has ended, too.
    if (!(error instanceof Refused)) return;
  }
  sessionStorage.removeItem(NOTE);
  location.reload();
});
