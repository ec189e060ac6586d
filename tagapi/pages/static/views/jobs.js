// All jobs of all APIs in one list: filters in the address, what changes is pushed, and only what is seen is drawn.

import { number, percent, seconds } from "../format.js";
import { live } from "../live.js";
import { badge, bar, empty, html, kind, notice, nothing, since, waiting } from "../parts.js";
import { href } from "../route.js";
import { Rows, secondsLeft } from "../rows.js";
import { app, redraw } from "../state.js";
import { FINAL, phaseName, reason, taskName } from "../words.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { askedFor, filters } from "./filters.js";

const MORE_ROWS = 8; // drawn above and below what is seen
const AHEAD = 300; // read before they are seen
const SOON = 250; // ms in which what is new is asked for together

let rows = null; // the list as it is known
let timer = null, unlisten = null;
let top = 0, height = 600, rowHeight = 60; // of the list, in pixels
let sought = "", said = null; // in the search, and about it
let shown = "", left = null; // which list is shown, and how one was left

function open(route) {
  unlisten = live.listen({ message: heard, back });
  if (left?.asked === asked(route) && left.who === app.who) goOn(route);
  else change(route);
}

const asked = (route) => route.query.toString();

/** Where somebody was before they looked at a job. */
function goOn(route) {
  ({ rows, top } = left);
  [said, sought] = [null, route.query.get("owner") ?? ""];
  const place = top;
  rows.dead = false;
  back();
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      const list = document.querySelector(".rows");
      if (list) list.scrollTop = place;
    }),
  );
}

function back() {
  live.ask(rows.unfinished());
  rows.first();
}

function change(route) {
  rows && (rows.dead = true);
  shown = asked(route);
  [top, said, sought] = [0, null, route.query.get("owner") ?? ""];
  const list = document.querySelector(".rows");
  if (list) list.scrollTop = 0;
  rows = new Rows(askedFor(route.query), redraw);
  rows.first();
}

function close() {
  measure();
  left = { asked: shown, who: app.who, rows, top };
  rows.dead = true;
  clearTimeout(timer);
  timer = null;
  unlisten();
}

function heard(message) {
  if (rows.heard(message) && timer === null) {
    timer = setTimeout(async () => {
      timer = null;
      const before = rows.ids.length;
      await rows.first();
      stay(rows.ids.length - before);
    }, SOON);
  }
  redraw();
}

/** What is looked at stays where it is when more comes above it. */
function stay(more) {
  const list = document.querySelector(".rows");
  if (list && list.scrollTop > 0 && more > 0) list.scrollTop += more * rowHeight;
}

function draw(route) {
  measure();
  const { query } = route;
  return html`<div class="head">
      <h1>Jobs</h1>
      <p class="count" role="status">
        ${rows.total === null ? "" : `${number(rows.total)} ${rows.total === 1 ? "job" : "jobs"}`}
      </p>
    </div>
    ${filters(query, sought, tell)} ${notice(said)}
    ${rows.error
      ? notice(rows.error.message, "bad", html`<button class="quiet" @click=${() => rows.first()}>Try again</button>`)
      : nothing}
    ${rows.total === null
      ? rows.error
        ? nothing
        : waiting("Reading the list …")
      : rows.total === 0
        ? none(query)
        : list()}`;
}

function tell(what) {
  said = what;
  redraw();
}

function none(query) {
  if ([...query.keys()].length > 0)
    return empty(
      "No such jobs",
      "No job fits these filters.",
      html`<a class="button" href=${href("jobs")}>Show all jobs</a>`,
    );
  return empty(
    "No jobs yet",
    "A job begins with a request to one of the APIs, or here: run a tag, and watch it.",
    html`<a class="button" href=${href("tags")}>To the tags</a>`,
  );
}

function measure() {
  const list = document.querySelector(".rows");
  if (!list) return;
  [top, height] = [list.scrollTop, list.clientHeight];
  rowHeight = Number.parseFloat(getComputedStyle(list).getPropertyValue("--row")) || rowHeight;
}

function scrolled() {
  measure();
  redraw();
}

function list() {
  const first = Math.max(0, Math.floor(top / rowHeight) - MORE_ROWS);
  const last = Math.min(rows.ids.length, Math.ceil((top + height) / rowHeight) + MORE_ROWS);
  if (last + AHEAD >= rows.ids.length && rows.error === null) queueMicrotask(() => rows.more());
  const seen = rows.ids.slice(first, last).map((id, place) => [rows.byId.get(id), first + place]);
  const showOwner = app.who.sees === "all" && app.who.by_token;
  const tail = rows.next !== null ? rowHeight : 0;
  return html`<div
    class="table ${showOwner ? "owned" : ""}"
    role="table"
    aria-label="Jobs, newest first"
    aria-rowcount=${rows.total + 1}
  >
    <div class="row names" role="row" aria-rowindex="1">
      <span role="columnheader">Task</span><span role="columnheader">Status</span
      ><span role="columnheader">Progress</span>${showOwner
        ? html`<span role="columnheader">Owner</span>`
        : nothing}<span role="columnheader">Accepted</span>
    </div>
    <div class="rows" role="rowgroup" tabindex="0" aria-label="Rows of jobs" @scroll=${scrolled} @keydown=${keys}>
      <div class="all" role="presentation" .style=${`height: ${rows.ids.length * rowHeight + tail}px`}>
        ${repeat(
          seen,
          ([row]) => row.id,
          ([row, place]) => line(row, place, showOwner),
        )}
      </div>
    </div>
  </div>`;
}

function line(row, place, showOwner) {
  return html`<div
    class="row ${kind(row)}"
    role="row"
    aria-rowindex=${place + 2}
    .style=${`transform: translateY(${place * rowHeight}px)`}
  >
    <span role="cell" class="what"
      ><a href=${href("jobs", row.id)} data-place=${place}>${taskName(row.task)}</a
      ><small class="id">${row.id.slice(0, 8)}</small></span
    >
    <span role="cell" class="state">${badge(row)}</span>
    <span role="cell" class="came">${progress(row)}</span>
    ${showOwner ? html`<span role="cell" class="owner">${row.owner}</span>` : nothing}
    <span role="cell" class="when">${since(row.created)}</span>
  </div>`;
}

function progress(row) {
  if (row.status === "FAILURE" || (row.status === "RETRY" && row.error))
    return html`<span class="error">${reason(row.error)}</span>`;
  if (FINAL.has(row.status))
    return html`<span class="outcome">${row.came ?? (row.status === "REVOKED" ? "Stopped on request" : "")}</span>`;
  if (row.status === "PENDING") return html`<span class="outcome">waits for its turn</span>`;
  const left = secondsLeft(row.pace);
  const told = [row.phase && phaseName(row.phase), left !== null && `${seconds(left)} left`]
    .filter(Boolean)
    .join(" · ");
  return html`<span class="moving"
    >${bar(row.percentage, `Progress of ${taskName(row.task)}`)}<span class="num">${percent(row.percentage)}</span
    ><small>${told}</small></span
  >`;
}

/** Up and down go from job to job. */
function keys(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const place = Number(
    event.target.closest?.(".row")?.querySelector("a")?.dataset.place ??
      (step > 0 ? Math.ceil(top / rowHeight) - 1 : 1),
  );
  const wanted = Math.min(rows.ids.length - 1, Math.max(0, place + step));
  const box = event.currentTarget;
  if (wanted * rowHeight < box.scrollTop) box.scrollTop = wanted * rowHeight;
  if ((wanted + 1) * rowHeight > box.scrollTop + box.clientHeight)
    box.scrollTop = (wanted + 1) * rowHeight - box.clientHeight;
  measure();
  redraw();
  requestAnimationFrame(() =>
    requestAnimationFrame(() => box.querySelector(`a[data-place="${wanted}"]`)?.focus({ preventScroll: true })),
  );
}

export const jobs = { open, change, close, draw };
