// Which jobs are listed: what is chosen and typed goes into the address, and the list follows the address.

import { now } from "../format.js";
import { html, nothing } from "../parts.js";
import { go, href } from "../route.js";
import { app } from "../state.js";
import { live as current } from "../vendor/lit-html/directives/live.js";
import { FRONTS, taskName } from "../words.js";

const STATUSES = [
  ["", "All"],
  ["active", "Active"],
  ["SUCCESS", "Done"],
  ["FAILURE", "Failed"],
  ["REVOKED", "Cancelled"],
];
const SINCE = [
  ["", "Any time"],
  ["1h", "Last hour"],
  ["24h", "Last day"],
  ["7d", "Last week"],
];
const UNITS = { h: 3600e3, d: 86400e3 };
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What the address asks for, as the service is asked. */
export function askedFor(query) {
  const asked = Object.fromEntries(["status", "task", "owner"].map((name) => [name, query.get(name)]));
  return { ...asked, since: moment(query.get("since")) };
}

/** A span of the address as the moment at which it began, to the minute. */
function moment(span) {
  const [, count, unit] = /^(\d{1,4})([hd])$/.exec(span ?? "") ?? [];
  return count ? new Date(Math.floor((now() - count * UNITS[unit]) / 60e3) * 60e3).toISOString() : null;
}

function filtered(changes) {
  const { query } = app.route;
  const asked = Object.fromEntries(["status", "task", "owner", "since"].map((name) => [name, query.get(name)]));
  go(href("jobs", null, { ...asked, ...changes }));
}

/** What is typed: a job's id, a task, or, for who sees everybody's, an owner. */
function search(event, tell) {
  event.preventDefault();
  const text = new FormData(event.target).get("q").trim();
  const like = text.toLowerCase();
  const found = app.who.tasks.filter(
    (task) => task === like || `${task} ${taskName(task)}`.toLowerCase().includes(like),
  );
  tell(null);
  if (UUID.test(text)) go(href("jobs", like));
  else if (text === "") filtered({ owner: null, task: null });
  else if (found.length > 0)
    filtered({ task: found.find((task) => task === like) ?? found[0], owner: null });
  else if (app.who.sees === "all") filtered({ owner: text, task: null });
  else tell(`No task is called “${text}”. Type a task, or the whole id of a job.`);
}

/** `tell` is called with what is to be said about a search. */
export function filters(query, sought, tell) {
  const groups = Object.groupBy
    ? Object.groupBy(app.who.tasks, (task) => task.split(".")[0])
    : { tasks: app.who.tasks };
  return html`<div class="filters">
    <div class="chips" role="group" aria-label="Status">
      ${STATUSES.map(
        ([status, name]) =>
          html` <a
            class="chip"
            href=${href("jobs", null, { ...Object.fromEntries(query), status })}
            aria-current=${(query.get("status") ?? "") === status ? "true" : nothing}
            >${name}</a
          >`,
      )}
    </div>
    <label
      ><span>Task</span
      ><select .value=${current(query.get("task") ?? "")} @change=${(event) => filtered({ task: event.target.value })}>
        <option value="">All tasks</option>
        ${Object.entries(groups).map(
          ([front, tasks]) =>
            html`<optgroup label=${FRONTS[front] ?? front}>
              ${tasks.map(
                (task) =>
                  html`<option value=${task} ?selected=${task === query.get("task")}>${taskName(task)}</option>`,
              )}
            </optgroup>`,
        )}
      </select></label
    >
    <label
      ><span>Since</span
      ><select
        .value=${current(query.get("since") ?? "")}
        @change=${(event) => filtered({ since: event.target.value })}
      >
        ${SINCE.map(
          ([value, name]) =>
            html`<option value=${value} ?selected=${value === (query.get("since") ?? "")}>${name}</option>`,
        )}
      </select></label
    >
    <form role="search" @submit=${(event) => search(event, tell)}>
      <label
        ><span>Search</span
        ><input
          name="q"
          type="search"
          autocomplete="off"
          spellcheck="false"
          maxlength="200"
          list="known-tasks"
          .value=${sought}
          placeholder=${app.who.sees === "all" ? "Id, task or owner" : "Id or task"}
      /></label>
      <datalist id="known-tasks">
        ${app.who.tasks.map((task) => html`<option value=${taskName(task)}></option>`)}
      </datalist>
    </form>
  </div>`;
}
