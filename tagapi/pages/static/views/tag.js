// One tag: its rule, who carries it and since when, and a run of it, with the difference shown before it is written.

import { newKey, post, read } from "../api.js";
import { line } from "../chart.js";
import { number, percent } from "../format.js";
import { history, tagName } from "../known.js";
import { live } from "../live.js";
import { at, bar, empty, facts, html, notice, nothing, panel, since, waiting } from "../parts.js";
import { href } from "../route.js";
import { redraw } from "../state.js";

const MEMBERS = 60; // shown at once
const NONE = -1; // the number of no tag

let id = null,
  about = null,
  runs = null,
  members = null,
  cursor = null,
  error = null,
  unlisten = null;
let dry = null; // the run that shows the difference: {id, percentage, result, error}
let real = null, busy = false;
let keys = null; // of each of both, until it is accepted: a lost answer makes no second job

function open(route) {
  id = /^\d{1,9}$/.test(route.id) ? Number(route.id) : NONE;
  about = runs = members = cursor = error = dry = real = null;
  busy = false;
  keys = { dry_run: newKey(), diff: newKey() };
  unlisten = live.listen({ message: heard, back: load });
  load();
}

const close = () => unlisten();

async function load() {
  const of = id;
  try {
    if (of === NONE) throw Object.assign(new Error("Tags have whole numbers."), { status: 404 });
    const found = (await read(`/api/v1/tags/${of}`)).tag;
    if (of !== id) return;
    [about, error] = [found, null];
    redraw();
    const [kept, page] = await Promise.all([history(of), read(`/api/v1/tags/${of}/users`, { limit: MEMBERS })]);
    if (of === id) [runs, members, cursor] = [kept, page.users, page.next_cursor];
  } catch (failure) {
    if (of === id) error = failure;
  }
  await settle(dry);
  await settle(real);
  redraw();
}

function heard(message) {
  for (const run of [dry, real]) {
    if (run?.id !== message.task_id) continue;
    run.percentage = message.progress?.percentage ?? run.percentage;
    if (message.final) settle(run).then(() => (run === real ? load() : redraw()));
  }
  redraw();
}

/** Read what came of a run, once it has ended. */
async function settle(run) {
  if (!run?.id || run.result || run.error) return;
  const status = await read(`/api/tasks/status/${run.id}`).catch(() => null);
  if (status?.status === "SUCCESS") run.result = status.result;
  else if (status?.status === "FAILURE") run.error = status.error;
  else if (status?.status === "REVOKED") run.error = "It was cancelled, and nothing was written.";
  redraw();
}

/** `how` is `dry_run` or `diff`. Null where another tag is shown by now. */
async function begin(how) {
  const [of, run] = [id, { id: null, percentage: 0, result: null, error: null }];
  busy = true;
  redraw();
  try {
    const body = { tag_ids: [of], [how]: true };
    const { told } = await post("/api/v1/tags/trigger", body, { "Idempotency-Key": keys[how] });
    run.id = told.task_id;
    live.follow(run.id);
  } catch (failure) {
    run.error = failure.message;
  }
  if (of !== id) return null;
  busy = false;
  if (run.id !== null) keys[how] = newKey();
  return run;
}

async function look() {
  const run = await begin("dry_run");
  if (run === null) return;
  [dry, real] = [run, null];
  settle(run);
}

async function write() {
  const run = await begin("diff");
  if (run === null) return;
  [dry, real] = [null, run];
  settle(run);
}

async function more() {
  const of = id;
  busy = true;
  redraw();
  try {
    const page = await read(`/api/v1/tags/${of}/users`, { limit: MEMBERS * 5, cursor });
    if (of === id) [members, cursor, error] = [[...members, ...page.users], page.next_cursor, null];
  } catch (failure) {
    if (of === id) error = failure;
  }
  if (of === id) busy = false;
  redraw();
}

function draw() {
  const back = html`<nav class="crumbs" aria-label="Where you are"><a href=${href("tags")}>Tags</a></nav>`;
  if (about === null)
    return html`${back}${error?.status === 404
      ? empty(
          "There is no such tag",
          "Tags are classes in the service: see “Adding a tag” in the README.",
          html`<a class="button" href=${href("tags")}>To the tags</a>`,
        )
      : error
        ? notice(error.message, "bad", html`<button class="quiet" @click=${load}>Try again</button>`)
        : waiting("Reading the tag …")}`;
  return html`${back}
    <div class="head">
      <h1>${tagName(about)}</h1>
      <p class="count">${about.tag_id} · ${about.description}</p>
      <div class="actions">
        <button class="quiet" ?disabled=${busy} @click=${write}>Run now</button
        ><button ?disabled=${busy} @click=${look}>Show what a run would change</button>
      </div>
    </div>
    ${error ? notice(error.message, "bad") : nothing}
    ${dry ? difference(dry, false) : nothing}${real ? difference(real, true) : nothing}
    <div class="columns">
      <div>${panel("Members over the runs", over())} ${panel("Who carries it", who())}</div>
      <div>
        ${panel(
          "Rule",
          html`<p class="rule">${about.rule}</p>
            <p class="told">Reads <code>${about.source}</code>. A missing value is outside every rule.</p>`,
        )}
        ${panel(
          "At a glance",
          facts([
            ["Members", html`<strong>${number(about.members)}</strong>`],
            [
              "Last run",
              about.last_run ? html`${at(about.last_run)} <small>${since(about.last_run)}</small>` : "never",
            ],
            ["Class", html`<code>${about.task_class}</code>`],
          ]),
        )}
        ${panel("Runs", list())}
      </div>
    </div>`;
}

function difference(run, written) {
  const title = written ? "The run" : "What a run would change";
  if (run.error) return panel(title, notice(run.error, "bad"));
  if (!run.result)
    return panel(
      title,
      html`<div class="big">
          ${bar(run.percentage, title, "tall")}<span class="num">${percent(run.percentage)}</span>
        </div>
        <p class="told">
          ${written ? "At work; it is one change, made whole or not at all." : "Computes, and writes nothing."}
          <a href=${href("jobs", run.id ?? "")}>Its job</a>
        </p>`,
    );
  const found = run.result.tags[0];
  return panel(
    title,
    html`<div class="difference">
        <div><span class="plus">come in</span><strong>+${number(found.added ?? 0)}</strong></div>
        <div><span class="minus">go out</span><strong>−${number(found.removed ?? 0)}</strong></div>
        <div><span>members then</span><strong>${number(found.matched_users)}</strong></div>
      </div>
      ${written
        ? html`<p class="told">Written, as version ${run.result.table_version} of the memberships.</p>`
        : html`<p class="told">Nothing is written yet.</p>
            <div class="choices">
              <button ?disabled=${busy} @click=${write}>Write it</button
              ><button
                class="quiet"
                @click=${() => {
                  dry = null;
                  redraw();
                }}
              >
                Leave it
              </button>
            </div>`}`,
  );
}

function over() {
  if (runs === null) return waiting("Reading its runs …");
  const points = runs
    .filter((run) => !run.some && run.mode === "full")
    .map((run) => ({ at: run.at, value: run.members }));
  if (points.length === 0)
    return html`<p class="told">No run over everyone is kept. Jobs are kept for a day, unless set otherwise.</p>`;
  return line(points, `Members after each of ${points.length} runs over everyone`);
}

function list() {
  if (runs === null) return waiting("Reading …");
  if (runs.length === 0) return html`<p class="told">None is kept.</p>`;
  return html`<ul class="plainlist runs">
    ${runs
      .slice(-8)
      .reverse()
      .map(
        (run) =>
          html`<li>
            <a href=${href("jobs", run.id)}>${at(run.at)}</a
            ><span>${run.some ? "some users" : run.mode === "full" ? "everyone" : "what changed"}</span
            ><span class="num"
              >${run.added === null
                ? number(run.members)
                : html`<span class="plus">+${number(run.added)}</span>
                    <span class="minus">−${number(run.removed)}</span>`}</span
            >
          </li>`,
      )}
  </ul>`;
}

function who() {
  if (members === null) return waiting("Reading …");
  if (members.length === 0) return html`<p class="told">Nobody${about.last_run ? "" : ": it has never been run"}.</p>`;
  return html`<div class="chips members">
      ${members.map((user) => html`<a href=${href("users", user)}>${user}</a>`)}
    </div>
    ${cursor ? html`<div class="choices"><button class="quiet" ?disabled=${busy} @click=${more}>Show more</button></div>` : nothing}`;
}

export const tag = { open, close, draw };
