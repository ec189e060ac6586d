// What came of a job, shown as what it is: tags with bars, a file, a report in place, a campaign, documents, assets.

import { fetched, parsed, read } from "../api.js";
import { number, size } from "../format.js";
import { nameOf } from "../known.js";
import { bars, facts, html, notice, nothing, panel, table, value, waiting } from "../parts.js";
import { href } from "../route.js";
import { redraw } from "../state.js";
import { plain } from "../words.js";
import { put } from "../report.js";

const IN_PLACE = [
  ["text/html", 8e6, (text) => text],
  ["application/json", 1e6, (text) => html`<div class="json">${value(parsed(text), 1)}</div>`],
]; // what is shown here, up to how many bytes, and as what
const ROWS = 20; // of documents and of findings that are shown here

let held = null; // what was fetched for the job that is shown

export function forget() {
  if (held?.address) URL.revokeObjectURL(held.address);
  held = null;
}

/** Fetch once what a result needs beside itself. */
function once(id, what) {
  if (held?.id !== id) {
    forget();
    const mine = (held = { id, value: null, error: null });
    what()
      .then(
        (found) => {
          mine.value = found;
        },
        (error) => {
          mine.error = error;
        },
      )
      .finally(redraw);
  }
  return held;
}

export function result(status, asked) {
  const told = status.result ?? {};
  const { success, message, ...facts_ } = told;
  const [front, work] = status.task.split(".");
  const body =
    front === "tags"
      ? ofTags(told)
      : told.file
        ? ofFile(status, told)
        : front === "export"
          ? ofCollector(status, told, asked)
          : front === "celery_task"
            ? ofAssets(status, told)
            : work.endsWith("_publish")
              ? ofCampaign(told)
              : work.startsWith("segment")
                ? ofSegments(told)
                : value(facts_);
  return panel("What came of it", body);
}

// -- tags ------------------------------------------------------------------------------------

function ofTags(told) {
  const change = (one) =>
    one.added === null || one.added === undefined
      ? nothing
      : html`<span class="plus">+${number(one.added)}</span> <span class="minus">−${number(one.removed)}</span>`;
  return html`<p class="told">
      ${number(told.total_users)} users were
      evaluated${told.table_version !== undefined ? `; version ${told.table_version} of the memberships` : ""}.
    </p>
    ${told.tags?.length
      ? bars(
          told.tags.map((one) => ({
            name: html`<a href=${href("tags", one.tag_id)}>${nameOf(one.tag_id)}</a>`,
            value: one.matched_users,
            more: change(one),
          })),
          "Users of each tag",
        )
      : nothing}
    ${told.unknown_user_ids?.length ? notice(`There are no such users: ${told.unknown_user_ids.join(", ")}`) : nothing}`;
}

// -- files -----------------------------------------------------------------------------------

const path = (id) => `/api/v1/workers/${id}/result/?link=false`; // a link leads to another host, which the page may not ask

function ofFile(status, told) {
  const { file, message, success, ...rest } = told;
  const [, , drawn] = IN_PLACE.find(([type, most]) => file.content_type.startsWith(type) && file.size <= most) ?? [];
  const shown = drawn
    ? once(status.task_id, async () => drawn(await (await fetched("GET", path(status.task_id))).text()))
    : null;
  return html`<div class="file">
      <div><strong>${file.name}</strong><small>${size(file.size)} · ${file.content_type.split(";")[0]}</small></div>
      <button @click=${(event) => download(event.target, status.task_id, file)}>Download</button>
    </div>
    <p class="told" title=${file.sha256}>SHA-256 <code>${file.sha256.slice(0, 16)}…</code></p>
    ${facts(Object.entries(rest).map(([name, one]) => [name.replaceAll("_", " "), value(one, 1)]))}
    ${shown === null
      ? nothing
      : shown.error
        ? notice(shown.error.message, "bad")
        : shown.value === null
          ? waiting("Fetching it …")
          : file.content_type.startsWith("text/html")
            ? report(shown.value)
            : shown.value}`;
}

async function download(button, id, file) {
  button.disabled = true;
  try {
    const address = URL.createObjectURL(await (await fetched("GET", path(id))).blob());
    const link = Object.assign(document.createElement("a"), { href: address, download: file.name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60e3);
  } catch (error) {
    alertBeside(button, error.message);
  } finally {
    button.disabled = false;
  }
}

function alertBeside(button, text) {
  const told = Object.assign(document.createElement("p"), { textContent: text, className: "told" });
  told.setAttribute("role", "alert");
  button.parentElement.after(told);
}

const report = (text) =>
  html`<iframe
    class="report"
    sandbox="allow-same-origin"
    title="The report"
    @load=${(event) => put(event.target, text)}
  ></iframe>`;

// -- campaigns, segments, documents, assets --------------------------------------------------

const ofCampaign = ({ success, message, ...ids }) =>
  html`<p class="told">
      Everything was made, and is paused: nothing is spent until somebody starts it at the platform.
    </p>
    ${facts(
      Object.entries(ids)
        .filter(([, one]) => one !== null)
        .map(([name, one]) => [
          plain(name.replace(/^external_/, "")),
          typeof one === "string" ? html`<code>${one}</code>` : value(one, 1),
        ]),
    )}`;

function ofSegments({ success, message, segments, ...rest }) {
  return html`${bars(
    (segments ?? []).map((one) => ({ name: `${one.segment} ${one.description ?? ""}`, value: one.users })),
    "Users of each segment",
  )}
  ${facts(
    Object.entries(rest)
      .filter(([, one]) => typeof one !== "object")
      .map(([name, one]) => [name.replaceAll("_", " "), value(one)]),
  )}`;
}

function ofCollector(status, told, asked) {
  const target = asked?.arguments.target;
  const summary = html`<p class="told">
    ${number(told.processed ?? 0)} documents${told.limit_reached ? "; there were more, and the limit was reached" : ""}.
  </p>`;
  if (!target) return html`${summary}${value(told)}`;
  const lines = once(status.task_id, async () => {
    const answer = await fetched(
      "GET",
      `/api/v3/stream/c/${encodeURIComponent(target)}/results?end_behaviour=stop&max_hits=${ROWS}`,
    );
    const chunks = (await answer.text())
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    return chunks.filter((chunk) => chunk.chunk_result).map((chunk) => chunk.chunk_result.data.data);
  });
  return html`${summary}${facts([
      ["Collector", html`<code>${target}</code>`],
      ["Read it at", html`<code>/api/v3/stream/c/${target}/results</code>`],
    ])}
    <h3>The first documents there</h3>
    ${lines.error
      ? notice(lines.error.message)
      : lines.value === null
        ? waiting("Reading …")
        : html`<ul class="documents">
            ${lines.value.map(
              (one) =>
                html`<li>
                  <strong>${one.title || "Without a title"}</strong>
                  <p>${String(one.content ?? "").slice(0, 280)}</p>
                </li>`,
            )}
          </ul>`}`;
}

function ofAssets(status, told) {
  const counts = Object.entries(told.statistic ?? {}).filter(([, count]) => count > 0);
  const found = once(
    status.task_id,
    async () => (await read(`/api/celery_task/${status.task_id}/result/`, { page: 1, size: ROWS })).data,
  );
  return html`${counts.length
    ? bars(
        counts.map(([name, count]) => ({ name: plain(name.replace(/_cnt$/, "")), value: count })),
        "What was found",
      )
    : html`<p class="told">Nothing was found.</p>`}
  ${found.error
    ? notice(found.error.message)
    : found.value === null
      ? waiting("Reading …")
      : found.value.items.length
        ? html`<h3>The first ${found.value.items.length} of ${number(found.value.total)}</h3>
            ${table(found.value.items.map(flat), null, "What was found")}`
        : nothing}`;
}

const flat = (row) =>
  Object.fromEntries(
    Object.entries(row)
      .filter(([, one]) => one !== null && one !== "" && !(Array.isArray(one) && one.length === 0))
      .slice(0, 8),
  );
