"use strict";

// Whatever a profile holds is shown as text, never as markup.

const at = (id) => document.getElementById(id);
const OFFLINE = { error: "offline", text: "The bank can't be reached. Please try again soon." };

async function ask(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    return { refused: OFFLINE };
  }
  const told = response.status === 204 ? null : await response.json().catch(() => OFFLINE);
  if (response.ok) return { told };
  const wait = response.status === 429 ? Number(response.headers.get("Retry-After")) : 0;
  const text = wait ? `${told.text} (${Math.ceil(wait / 60)} min)` : told.text;
  return { refused: { error: told.error, text: text ?? OFFLINE.text } };
}

function show(view) {
  for (const id of ["login", "home"]) at(id).hidden = id !== view;
  at("log-out").hidden = view !== "home";
  document.title = view === "home" ? "Demo bank" : "Log in – Demo bank";
}

function item(...children) {
  const made = document.createElement("li");
  made.append(...children);
  return made;
}

function element(name, text, style) {
  const made = document.createElement(name);
  made.textContent = text;
  if (style) made.className = style;
  return made;
}

function card(offer) {
  return item(
    element("h3", offer.title),
    element("p", offer.text),
    element("p", offer.because, "because"),
  );
}

function clear() {
  for (const id of ["name", "offers", "permissions", "roles", "features", "as-of",
                    "pay-result", "home-problem", "login-problem"]) at(id).replaceChildren();
  at("no-offers").hidden = true;
}

function showLogin(problem = "") {
  clear();
  show("login");
  at("login-problem").textContent = problem;
}

async function showHome(focus) {
  const [me, offers] = await Promise.all([ask("GET", "/api/me"), ask("GET", "/api/offers")]);
  const refused = me.refused ?? offers.refused;
  if (refused) {
    showLogin(refused.error === "no_session" ? "" : refused.text);
    return;
  }
  clear();
  at("name").textContent = me.told.name ?? "";
  at("permissions").replaceChildren(...me.told.permissions.map((name) => item(name)));
  at("roles").textContent = me.told.roles.join(", ") || "none";
  at("features").textContent = me.told.features.join(", ") || "none";
  at("as-of").dateTime = me.told.as_of;
  at("as-of").textContent = new Date(me.told.as_of).toLocaleString();
  at("offers").replaceChildren(...offers.told.map(card));
  at("no-offers").hidden = offers.told.length > 0;
  show("home");
  if (focus) at("home").querySelector("h1").focus();
}

at("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  at("login-problem").textContent = "";
  const answer = await ask("POST", "/api/session", {
    email: at("email").value,
    password: at("password").value,
  });
  at("password").value = "";
  button.disabled = false;
  if (answer.refused) {
    at("login-problem").textContent = answer.refused.text;
    at("password").focus();
    return;
  }
  await showHome(true);
});

at("log-out").addEventListener("click", async () => {
  const answer = await ask("DELETE", "/api/session");
  if (answer.refused) {
    at("home-problem").textContent = answer.refused.text;
    return;
  }
  showLogin();
  at("login").querySelector("h1").focus();
});

at("pay").addEventListener("click", async () => {
  const answer = await ask("POST", "/api/payments");
  if (answer.refused?.error === "no_session") {
    showLogin("Your session is over. Please log in again.");
    return;
  }
  at("pay-result").textContent = answer.refused?.text ?? "Done: you may. (No money has moved.)";
});

showHome(false);
