// A job's own page: what was asked, how it goes, what happened, what came of it, and what can be done about it.

import { newKey, post, read } from "../api.js";
import { live } from "../live.js";
import { badge, copy, empty, html, notice, nothing, panel, waiting } from "../parts.js";
import { href } from "../route.js";
import { merged, paced } from "../rows.js";
import { app, redraw } from "../state.js";
import { FINAL, statusName, stopped, taskName } from "../words.js";
import { args, attempts, glance, moving, timeline, wrong } from "./story.js";
import { forget, result } from "./result.js";

let id = null; // of the job that is shown
let status, progress, events, asked, error; // what was read of it
let pace; // how fast it goes
let begun, shown; // readings: the newest that was begun, and the one that is shown
let newest; // of what was pushed of it
let deed, sure, busy, key; // what was done about it, and what is about to be
let unlisten;

function open(route) {
  id = route.id;
  status = progress = asked = error = pace = deed = sure = newest = null;
  events = [];
  begun = shown = 0;
  busy = false;
  key = newKey();
  unlisten = live.listen({ message: heard, back });
  live.follow(id);
  load();
}

function close() {
  unlisten();
  live.unfollow(id);
  forget();
}

function back() {
  newest = null; // it was said before the service was away
  load();
}

async function load() {
  const of = id,
    turn = ++begun;
  try {
    const found = await read(`/api/tasks/status/${encodeURIComponent(of)}`);
    const all = found.found
      ? await Promise.all(["progress", "events", "arguments"].map((what) => read(`/api/tasks/${what}/${of}`)))
      : [null, { events: [] }, null];
    if (of !== id || turn < shown) return;
    [shown, status, error] = [turn, current(found), null];
    [progress, events, asked] = [all[0], merged(events, all[1].events), all[2]];
  } catch (failure) {
    if (of === id) error = failure;
  }
  redraw();
}

/** What was read, and what was pushed while it was: an answer that comes late takes nothing back. */
function current(found) {
  if (newest === null || !found.found || FINAL.has(found.status)) return found;
  if (FINAL.has(newest.status)) load();
  return { ...found, status: newest.status, progress: newest.progress ?? found.progress };
}

function heard(message) {
  if (message.task_id !== id || message.event === "unknown") return;
  newest = message;
  if (status === null) return;
  pace = paced(pace, message);
  status = { ...status, status: message.status, progress: message.progress ?? status.progress };
  if (message.event === "snapshot") {
    const last = events.at(-1)?.number ?? 0;
    if (message.number > last) load();
  } else {
    events = merged(events, [message]);
    if (message.final || ["phase", "started", "retried", "parked", "undoing", "settled"].includes(message.event))
      load();
  }
  redraw();
}

// -- what can be done ------------------------------------------------------------------------

async function act(what, said) {
  [busy, sure] = [true, null];
  redraw();
  try {
    deed = said(await what());
  } catch (failure) {
    deed = { tone: "bad", text: failure.message, failure };
  }
  await load();
  if (deed?.failure?.status === 409 && deed.failure.code === "already_finished") deed.text = tooLate();
  busy = false;
  redraw();
  if (document.activeElement === document.body) focus();
}

const tooLate = () =>
  FINAL.has(status?.status)
    ? `Nothing was cancelled: it had already ended, as ${statusName(status).toLowerCase()}.`
    : "Nothing was cancelled: it is past its point of no return. What it does is being written, or nobody knows yet whether it was.";

const cancel = () =>
  act(
    () => post(`/api/tasks/cancel/${id}`),
    ({ status: code }) =>
      code === 200
        ? { tone: "good", text: `Cancelled. ${stopped(status?.task)}` }
        : {
            tone: "plain",
            text: "Asked to stop, and it has not stopped yet: it is not cancelled. This page shows how it ends.",
          },
  );

const retry = (force) =>
  act(
    () =>
      post(`/api/tasks/retry/${id}${force ? "?force=true" : ""}`, undefined, force ? { "Idempotency-Key": key } : {}),
    ({ told, replayed }) => ({
      tone: "good",
      text: replayed
        ? "It had been repeated before. This is that job; nothing new was begun."
        : "A new job does it again, with the same arguments. This one stays as it is.",
      link: told.task_id,
    }),
  );

function ask(whether) {
  sure = whether;
  redraw();
  focus();
}

/** The button that was pressed has gone: the safe one of those in its place. */
function focus() {
  requestAnimationFrame(() => document.querySelector(".actions button:last-of-type")?.focus());
}

function actions() {
  if (!status.found) return nothing;
  const ended = FINAL.has(status.status);
  const [text, does, really] = ended
    ? status.status === "SUCCESS"
      ? ["Run again", () => retry(true), "Run it again? It succeeded; what it does is done once more."]
      : ["Retry", () => retry(false), null]
    : ["Cancel", cancel, "Stop it? What it has not finished is given up."];
  if (sure)
    return html`<div class="sure" role="group" aria-label="Are you sure?">
      <span>${really}</span><button class=${ended ? "" : "danger"} @click=${does}>Yes, ${text.toLowerCase()}</button
      ><button
        class="quiet"
        @click=${() => ask(null)}
      >
        No
      </button>
    </div>`;
  return html`<button
    class=${ended ? "" : "danger"}
    ?disabled=${busy}
    @click=${really ? () => ask(true) : does}
  >
    ${busy ? "One moment …" : text}
  </button>`;
}

// -- what is seen ----------------------------------------------------------------------------

function draw() {
  if (error && status === null)
    return html`${crumbs()}${notice(error.message, "bad", html`<button class="quiet" @click=${load}>Try again</button>`)}`;
  if (status === null) return html`${crumbs()}${waiting("Reading the job …")}`;
  if (!status.found)
    return html`${crumbs()}${empty(
      "There is no such job",
      "It may have expired, it may be somebody else's, or the address has a slip in it.",
      html`<a class="button" href=${href("jobs")}>To the jobs</a>`,
    )}`;
  return html`${crumbs()}
    <div class="head">
      <div>
        <h1>${taskName(status.task)}</h1>
        <p class="id">${status.task_id}${copy(status.task_id)}</p>
      </div>
      ${badge(status)}
      <div class="actions">${actions()}</div>
    </div>
    ${error ? notice(error.message, "bad") : nothing}
    ${deed
      ? notice(
          deed.text,
          deed.tone,
          deed.link ? html`<a class="button" href=${href("jobs", deed.link)}>See the new job</a>` : nothing,
        )
      : nothing}
    ${status.parked ? parked() : nothing} ${wrong(status)}
    <div class="columns">
      <div>
        ${FINAL.has(status.status) ? nothing : moving(status, progress, pace)}
        ${cameOf()}
        ${panel("What was asked", asked ? args(asked) : waiting("Reading …"))}
      </div>
      <div>${panel("At a glance", glance(status))} ${attempts(events)} ${panel("What happened", timeline(events))}</div>
    </div>`;
}

/** Its end is pushed; what came of it is read then. */
function cameOf() {
  if (status.status !== "SUCCESS") return nothing;
  return typeof status.result === "object" ? result(status, asked) : waiting("Reading what came of it …");
}

const crumbs = () => html`<nav class="crumbs" aria-label="Where you are"><a href=${href("jobs")}>Jobs</a></nav>`;

function parked() {
  return html`<section class="wrong bad">
    <h2>It waits for a person</h2>
    <p>
      Nobody could find out whether what it wrote is there. An admin looks at the table's log for this job's id, and
      says what is true.
    </p>
    ${app.who.role === "admin"
      ? html`<div class="choices">
          ${[
            ["retry", "Ask again"],
            ["completed", "It is there"],
            ["failed", "It is not there"],
          ].map(
            ([outcome, text]) =>
              html`<button
                class="quiet"
                ?disabled=${busy}
                @click=${() =>
                  act(
                    () => post(`/api/tasks/settle/${id}`, { outcome }),
                    () => ({ tone: "good", text: "Settled, as you said." }),
                  )}
              >
                ${text}
              </button>`,
          )}
        </div>`
      : nothing}
  </section>`;
}

export const job = { open, close, draw };
