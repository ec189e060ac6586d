// A job's own page: what was asked, how it goes, what happened, what came of it, and what can be done about it.

import { post, read } from "../api.js";
import { between, number, percent, seconds } from "../format.js";
import { live } from "../live.js";
import { at, badge, bar, empty, facts, html, kind, notice, nothing, panel, since, value, waiting } from "../parts.js";
import { href } from "../route.js";
import { eventName, paced, secondsLeft } from "../rows.js";
import { app, redraw } from "../state.js";
import { advice, FINAL, phaseName, reason, statusName, stopped, taskName } from "../words.js";
import { newKey } from "../api.js";
import { forget, result } from "./result.js";

let id = null, status = null, progress = null, events = [], asked = null, error = null, pace = null;
let deed = null, sure = null, busy = false, key = null, unlisten = null;

function open(route) {
  id = route.id;
  [status, progress, events, asked, error, pace, deed, sure, busy, key] = [null, null, [], null, null, null, null, null, false, newKey()];
  unlisten = live.listen({ message: heard, back: load });
  live.follow(id);
  load();
}

function close() {
  unlisten();
  live.unfollow(id);
  forget();
}

async function load() {
  const of = id;
  try {
    const found = await read(`/api/tasks/status/${encodeURIComponent(of)}`);
    const all = found.found ? await Promise.all(["progress", "events", "arguments"].map((what) => read(`/api/tasks/${what}/${of}`))) : [null, { events: [] }, null];
    if (of !== id) return;
    [status, error] = [found, null];
    [progress, events, asked] = [all[0], merged(all[1].events), all[2]];
  } catch (failure) {
    if (of === id) error = failure;
  }
  redraw();
}

const merged = (more) => [...new Map([...events, ...more].map((event) => [event.number, event])).values()].sort((a, b) => a.number - b.number);

function heard(message) {
  if (message.task_id !== id || status === null) return;
  if (message.event === "unknown") return;
  pace = paced(pace, message);
  status = { ...status, status: message.status, progress: message.progress ?? status.progress };
  if (message.event === "snapshot") {
    const last = events.at(-1)?.number ?? 0;
    if (message.number > last) load();
  } else {
    events = merged([message]);
    if (message.final || ["phase", "started", "retried", "parked", "undoing", "settled"].includes(message.event)) load();
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
}

const tooLate = () => FINAL.has(status?.status)
  ? `Nothing was cancelled: it had already ended, as ${statusName(status).toLowerCase()}.`
  : "Nothing was cancelled: it is past its point of no return. What it does is being written, or nobody knows yet whether it was.";

const cancel = () => act(
  () => post(`/api/tasks/cancel/${id}`),
  ({ status: code }) => code === 200
    ? { tone: "good", text: `Cancelled. ${stopped(status?.task)}` }
    : { tone: "plain", text: "Asked to stop, and it has not stopped yet: it is not cancelled. This page shows how it ends." },
);

const retry = (force) => act(
  () => post(`/api/tasks/retry/${id}${force ? "?force=true" : ""}`, undefined, force ? { "Idempotency-Key": key } : {}),
  ({ told, replayed }) => ({
    tone: "good",
    text: replayed ? "It had been repeated before. This is that job; nothing new was begun." : "A new job does it again, with the same arguments. This one stays as it is.",
    link: told.task_id,
  }),
);

function actions() {
  if (!status.found) return nothing;
  const ended = FINAL.has(status.status);
  const [text, does, really] = ended
    ? status.status === "SUCCESS" ? ["Run again", () => retry(true), "Run it again? It succeeded; what it does is done once more."] : ["Retry", () => retry(false), null]
    : ["Cancel", cancel, "Stop it? What it has not finished is given up."];
  if (sure) return html`<div class="sure" role="group" aria-label="Are you sure?"><span>${really}</span><button class=${ended ? "" : "danger"} @click=${does}>Yes, ${text.toLowerCase()}</button><button class="quiet" @click=${() => { sure = null; redraw(); }}>No</button></div>`;
  return html`<button class=${ended ? "" : "danger"} ?disabled=${busy} @click=${really ? () => { sure = true; redraw(); } : does}>${busy ? "One moment …" : text}</button>`;
}

// -- what is seen ----------------------------------------------------------------------------

function draw() {
  if (error && status === null) return html`${back()}${notice(error.message, "bad", html`<button class="quiet" @click=${load}>Try again</button>`)}`;
  if (status === null) return html`${back()}${waiting("Reading the job …")}`;
  if (!status.found) return html`${back()}${empty("There is no such job", "It may have expired, it may be somebody else's, or the address has a slip in it.", html`<a class="button" href=${href("jobs")}>To the jobs</a>`)}`;
  return html`${back()}
    <div class="head"><div><h1>${taskName(status.task)}</h1><p class="id">${status.task_id}${copy()}</p></div>${badge(status)}<div class="actions">${actions()}</div></div>
    ${error ? notice(error.message, "bad") : nothing}
    ${deed ? notice(deed.text, deed.tone, deed.link ? html`<a class="button" href=${href("jobs", deed.link)}>See the new job</a>` : nothing) : nothing}
    ${status.parked ? parked() : nothing}
    ${wrong()}
    <div class="columns"><div>
      ${FINAL.has(status.status) ? nothing : moving()}
      ${status.status === "SUCCESS" ? result(status, asked) : nothing}
      ${panel("What was asked", asked ? args() : waiting("Reading …"))}
    </div><div>
      ${panel("At a glance", glance())}
      ${attempts()}
      ${panel("What happened", timeline())}
    </div></div>`;
}

const back = () => html`<nav class="crumbs" aria-label="Where you are"><a href=${href("jobs")}>Jobs</a></nav>`;

const copy = () => navigator.clipboard ? html`<button class="quiet small" @click=${() => navigator.clipboard.writeText(status.task_id)}>Copy</button>` : nothing;

function wrong() {
  if (!status.error) return nothing;
  const ended = status.status === "FAILURE";
  return html`<section class="wrong ${ended ? "bad" : "plain"}"><h2>${ended ? "Why it failed" : status.status === "REVOKED" ? "What it says" : "Why the last attempt ended"}</h2>
    <p class="reason">${reason(status.error)}</p>${ended ? html`<p><strong>What to do.</strong> ${advice(status.error)}</p>` : nothing}</section>`;
}

function parked() {
  return html`<section class="wrong bad"><h2>It waits for a person</h2><p>Nobody could find out whether what it wrote is there. An admin looks at the table's log for this job's id, and says what is true.</p>
    ${app.who.role === "admin" ? html`<div class="choices">${[["retry", "Ask again"], ["completed", "It is there"], ["failed", "It is not there"]].map(([outcome, text]) => html`<button class="quiet" ?disabled=${busy} @click=${() => act(() => post(`/api/tasks/settle/${id}`, { outcome }), () => ({ tone: "good", text: "Settled, as you said." }))}>${text}</button>`)}</div>` : nothing}</section>`;
}

function moving() {
  const { percentage = 0, done, total } = status.progress ?? {};
  const left = secondsLeft(pace) ?? progress?.seconds_left ?? null;
  const told = [total ? `${number(done)} of ${number(total)}` : null, left !== null && status.status === "STARTED" ? `about ${seconds(left)} left` : null].filter(Boolean).join(" · ");
  const running = progress?.phase;
  return panel("Progress", html`<div class="big">${bar(percentage, "Progress of the job", "tall")}<span class="num">${percent(percentage)}</span></div>
    <p class="told">${status.status === "PENDING" ? "Waits for its turn." : status.status === "RETRY" ? "Waits for its next attempt." : told || "At work."}</p>
    ${progress?.phases.length ? html`<ol class="phases">${progress.phases.map((phase) => html`<li class=${phase.name === running ? "now" : "done"}><span>${phaseName(phase.name)}</span><span class="num">${phase.total ? `${number(phase.done)} / ${number(phase.total)}` : ""}</span><span class="num">${seconds(phase.seconds)}</span></li>`)}</ol>` : nothing}`);
}

function args() {
  const entries = Object.entries(asked.arguments).filter(([, one]) => one !== null && one !== false);
  if (entries.length === 0) return html`<p class="told">Nothing but the task itself.</p>`;
  const cut = Object.entries(asked.shortened);
  return html`${facts(entries.map(([name, one]) => [name.replaceAll("_", " "), value(one, 1)]))}
    ${cut.map(([name, count]) => html`<p class="told">Of ${name.replaceAll("_", " ")} the first 100 are shown; there are ${number(count)}.</p>`)}`;
}

function glance() {
  const { created_at: created, started_at: started, completed_at: completed } = status;
  return facts([
    ["Owner", status.owner], ["Task", html`<code>${status.task}</code>`], ["Accepted", html`${at(created)} <small>${since(created)}</small>`],
    ["Waited", started ? between(created, started) : null], ["Ran for", started ? between(started, completed ?? new Date()) : null],
    ["Ended", completed ? at(completed) : null], ["Attempt", `${status.attempt} of ${status.max_attempts ?? "?"}`],
    ["Repeats", status.retry_of ? html`<a href=${href("jobs", status.retry_of)}>${status.retry_of.slice(0, 8)}</a>` : null],
  ]);
}

/** Every attempt with how it ended, by what happened in it. */
function attempts() {
  const each = new Map();
  for (const event of events) {
    if (event.attempt < 1) continue;
    const attempt = each.get(event.attempt) ?? { from: event.at, to: null, end: null };
    if (["retried", "finished", "parked"].includes(event.event)) Object.assign(attempt, { to: event.at, end: event });
    each.set(event.attempt, attempt);
  }
  if (each.size < 2) return nothing;
  return panel("Attempts", html`<ol class="attempts">${[...each].map(([place, one]) => html`<li><span class="place">${place}</span><span>${one.end === null ? "at work" : one.end.event === "finished" ? statusName(one.end) : "no outcome"}
    ${one.end?.detail && one.end.event !== "finished" ? html`<small>${reason(one.end.detail)}</small>` : nothing}</span><span class="num">${one.to ? between(one.from, one.to) : ""}</span></li>`)}</ol>`);
}

function timeline() {
  return html`<ol class="timeline">${events.map((event) => html`<li class=${event.event === "finished" ? kind(event) : event.event.replaceAll(" ", "-")}>
    ${at(event.at)}<span><strong>${event.event === "finished" ? statusName(event) : eventName(event.event)}</strong>
    ${event.event === "phase" ? html` ${phaseName(event.detail)}` : event.event === "progress" ? html` <span class="num">${percent(event.progress.percentage)}</span>` : nothing}
    ${event.detail && !["phase", "finished"].includes(event.event) ? html`<small>${reason(event.detail)}</small>` : nothing}</span></li>`)}</ol>`;
}

export const job = { open, close, draw };
