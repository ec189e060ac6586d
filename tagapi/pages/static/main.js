// Where the page begins: who is here, which view the address names, and the frame around it.

import { Refused, read, token, whenAsked, whenLost } from "./api.js";
import { live } from "./live.js";
import { html, nothing, notice, waiting } from "./parts.js";
import { href, parse } from "./route.js";
import { app, drawnBy, redraw } from "./state.js";
import { render } from "./vendor/lit-html/lit-html.js";
import { audience } from "./views/audience.js";
import { job } from "./views/job.js";
import { jobs } from "./views/jobs.js";
import { service } from "./views/service.js";
import { signIn } from "./views/signin.js";
import { tag } from "./views/tag.js";
import { tags } from "./views/tags.js";
import { user } from "./views/user.js";

const PLACES = [
  ["jobs", "Jobs"],
  ["tags", "Tags"],
  ["audience", "Audience"],
  ["service", "Service"],
];
const TRY_AGAIN = 2000; // ms, while nobody answers at all

function viewOf(route) {
  if (route.name === "jobs") return route.id === null ? jobs : job;
  if (route.name === "tags") return route.id === null ? tags : tag;
  if (route.name === "users" && route.id !== null) return user;
  return { audience, service }[route.name] ?? null;
}

/** Under which of the places a route belongs. */
const placeOf = (route) => (route?.name === "users" ? "tags" : route?.name);

function titled(route) {
  const [, place] = PLACES.find(([name]) => name === placeOf(route)) ?? [];
  return [route.id, place, "tagapi"].filter(Boolean).join(" · ");
}

function show() {
  const before = app.route;
  app.route = parse(location.hash);
  document.title = titled(app.route);
  const view = viewOf(app.route);
  if (view !== app.view || view === null || app.route.id !== before?.id) {
    app.view?.close?.();
    app.view = view;
    view?.open?.(app.route);
    if (before !== null) requestAnimationFrame(() => document.querySelector("main")?.focus({ preventScroll: false }));
  } else {
    view.change?.(app.route);
  }
  redraw();
}

async function enter() {
  if (document.documentElement.dataset.asks !== undefined && token.get() === null) {
    app.asks = true;
    redraw();
    return undefined;
  }
  try {
    app.who = await read("/api/tasks/whoami");
  } catch (error) {
    if (error.code === "token_not_needed" && token.get() !== null) {
      token.forget(); // of a time when this service asked for one
      return enter();
    }
    if (error.status !== 401) {
      app.refusal = error;
      setTimeout(enter, error instanceof Refused && error.retryAfter ? error.retryAfter * 1000 : TRY_AGAIN);
    }
    redraw();
    return undefined;
  }
  app.refusal = null;
  live.start(app.who.sees === "all");
  show();
  return undefined;
}

/** The service asks for a token, or takes this one no more. */
function leave(refusal) {
  const had = token.get() !== null;
  token.forget();
  live.stop();
  app.view?.close?.();
  app.view = app.route = app.who = null;
  app.refusal = had ? refusal : null;
  app.asks = true;
  redraw();
}

function comeIn(given) {
  token.set(given);
  app.asks = false;
  app.refusal = null;
  redraw();
  enter();
}

function frame() {
  if (app.who === null && app.asks) return signIn(comeIn, app.refusal);
  if (app.who === null)
    return html`<main tabindex="-1" class="alone">
      ${app.refusal ? notice(app.refusal.message, "bad") : waiting("One moment …")}
    </main>`;
  return html` <a class="skip" href="#main" @click=${toMain}>Skip to the content</a>
    <header class="top">
      <a class="brand" href=${href("jobs")}><span class="mark" aria-hidden="true"></span>tagapi</a>
      <nav aria-label="Views">
        ${PLACES.map(
          ([name, title]) =>
            html`<a href=${href(name)} aria-current=${placeOf(app.route) === name ? "page" : nothing}>${title}</a>`,
        )}<a href="/docs">API</a>
      </nav>
      ${who()}
    </header>
    ${away()}
    <main id="main" tabindex="-1" class=${app.route?.name ?? ""}>
      ${app.view ? app.view.draw(app.route) : nowhere()}
    </main>`;
}

function who() {
  const { name, role, rights, by_token: byToken } = app.who;
  const may =
    role === "admin"
      ? "sees everybody's jobs, and may do everything"
      : `sees their own jobs${rights.length ? `, and may ${rights.join(", ")}` : ""}`;
  return html`<div class="who" title=${`${name} ${may}`}>
    <span class="live ${app.live}"
      ><span class="dot" aria-hidden="true"></span
      ><span class="said"
        >${app.live === "open" ? "live" : app.live === "away" ? "not connected" : "connecting"}</span
      ></span
    >
    <span class="name">${name}<small>${role}</small></span>
    ${byToken ? html`<button class="quiet" @click=${() => leave(null)}>Sign out</button>` : nothing}
  </div>`;
}

/** A service that was started anew may be another release, which has not this page's files. */
async function lookAround() {
  const answer = await fetch(import.meta.url, { method: "HEAD", cache: "no-store" }).catch(() => null);
  app.old = answer?.status === 404;
  redraw();
}

const away = () =>
  html`<div aria-live="polite">
    ${app.live === "away"
      ? html`<p class="away">
          Not connected to the service. What you see may be out of date; this page tries again by itself.
        </p>`
      : app.old
        ? html`<p class="away">
            The service has another version by now. <button @click=${() => location.reload()}>Load this page anew</button>
          </p>`
        : nothing}
  </div>`;

const nowhere = () =>
  html`<div class="empty">
    <h1>There is nothing here</h1>
    <p>No view of this page has this address.</p>
    <a class="button" href=${href("jobs")}>To the jobs</a>
  </div>`;

function toMain(event) {
  event.preventDefault();
  document.querySelector("main").focus();
}

drawnBy(() => render(frame(), document.querySelector("#app")));
whenAsked(leave);
live.listen({ back: lookAround });
whenLost(() => live.doubt());
addEventListener("hashchange", () => app.who !== null && show());
setInterval(() => app.who !== null && !document.hidden && redraw(), 1000); // the ages of what is seen
redraw();
enter();
