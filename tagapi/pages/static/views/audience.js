// An audience put together from tags: its size and the overlaps at once. The address keeps what was put together.

import { post } from "../api.js";
import { number } from "../format.js";
import { nameOf, readTags, tagName } from "../known.js";
import { empty, html, notice, nothing, panel, waiting } from "../parts.js";
import { go, href } from "../route.js";
import { app, redraw } from "../state.js";

const CHOICES = [
  ["", "–"],
  ["all", "must"],
  ["any", "any"],
  ["none", "not"],
];
const PAUSE = 150; // ms after the last choice

let all = null,
  error = null,
  found = null,
  refused = null,
  asking = false,
  timer = null;

function open(route) {
  load();
  change(route);
}

function close() {
  clearTimeout(timer);
}

async function load() {
  try {
    [all, error] = [await readTags(), null];
  } catch (failure) {
    error = failure;
  }
  redraw();
}

/** The lists of the address: which tags somebody must carry, any of which, and which not. */
function lists(query) {
  const named = (name) => [
    ...new Set(
      (query.get(name) ?? "")
        .split(",")
        .filter((one) => /^\d{1,9}$/.test(one))
        .map(Number),
    ),
  ];
  return Object.fromEntries(["all", "any", "none"].map((name) => [name, named(name)]));
}

function expression(query) {
  const given = Object.entries(lists(query)).filter(([, tags]) => tags.length > 0);
  const named = Object.fromEntries(given);
  return named.all || named.any ? named : null;
}

function change(route) {
  clearTimeout(timer);
  const asked = expression(route.query);
  if (asked === null) {
    [found, refused, asking] = [null, null, false];
    return;
  }
  asking = true;
  timer = setTimeout(() => count(asked), PAUSE);
}

async function count(asked) {
  const mine = timer;
  try {
    const { told } = await post("/api/tasks/audiences/preview", { tags: asked });
    if (mine === timer) [found, refused] = [told, null];
  } catch (failure) {
    if (mine === timer) [found, refused] = [null, failure];
  }
  if (mine === timer) asking = false;
  redraw();
}

function choose(id, choice) {
  const now = lists(app.route.query);
  for (const name of Object.keys(now)) now[name] = now[name].filter((one) => one !== id);
  if (choice) now[choice].push(id);
  go(
    href(
      "audience",
      null,
      Object.fromEntries(Object.entries(now).map(([name, tags]) => [name, tags.sort((a, b) => a - b).join(",")])),
    ),
    { replace: true },
  );
}

function draw(route) {
  const asked = expression(route.query);
  return html`<div class="head">
      <h1>Audience</h1>
      <p class="count">Who carries which tags, and how many that are</p>
    </div>
    ${error ? notice(error.message, "bad", html`<button class="quiet" @click=${load}>Try again</button>`) : nothing}
    ${all === null
      ? error
        ? nothing
        : waiting("Reading the tags …")
      : html`<div class="columns even">
          <div>${panel("Put together from", build(lists(route.query)))}</div>
          <div aria-live="polite">${size(asked)}</div>
        </div>`}`;
}

function build(chosen) {
  const choice = (id) => Object.keys(chosen).find((name) => chosen[name].includes(id)) ?? "";
  return html`<ul class="build">
    ${all.map(
      (tag) =>
        html`<li>
          <span
            ><strong>${tagName(tag)}</strong>
            <small>${tag.last_run === null ? "never run" : `${number(tag.members)} members`}</small></span
          >
          <fieldset>
            <legend>${tagName(tag)}</legend>
            ${CHOICES.map(
              ([value, name]) =>
                html`<label
                  ><input
                    type="radio"
                    name=${`tag${tag.tag_id}`}
                    value=${value}
                    aria-label=${value === "" ? "does not matter" : name}
                    .checked=${choice(tag.tag_id) === value}
                    ?disabled=${tag.last_run === null && value !== ""}
                    @change=${() => choose(tag.tag_id, value)}
                  /><span>${name}</span></label
                >`,
            )}
          </fieldset>
        </li>`,
    )}
  </ul>`;
}

function size(asked) {
  if (asked === null)
    return panel(
      "Size",
      empty(
        "Nobody yet",
        "Choose at least one tag that somebody must carry, or any of some. “Not” alone would be almost everyone.",
      ),
    );
  if (refused) return panel("Size", notice(refused.message, "bad"));
  if (found === null) return panel("Size", waiting("Counting …"));
  return html`${panel(
    "Size",
    html`<p class="figure">${number(found.size)}</p>
      <p class="told">${asking ? "Counting …" : `users, as of version ${found.table_version} of the memberships`}</p>`,
  )}
  ${found.tags.length > 1 ? panel("Overlaps", overlaps()) : nothing}
  ${panel(
    "As a definition",
    html`<p class="told">For <code>POST /api/tasks/audiences/sync</code>, as <code>audience.tags</code>:</p>
      <pre tabindex="0">${JSON.stringify(asked)}</pre>`,
  )}`;
}

function overlaps() {
  const own = new Map(found.tags.map((one) => [one.tag_id, one.users]));
  const pair = new Map(found.overlaps.map((one) => [one.tag_ids.join(), one.users]));
  const shared = (a, b) => pair.get([Math.min(a, b), Math.max(a, b)].join());
  const ids = [...own.keys()];
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Overlaps of each two tags">
    <table class="overlaps">
      <thead>
        <tr>
          <td></td>
          ${ids.map((id) => html`<th scope="col" title=${nameOf(id)}>${id}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${ids.map(
          (row) =>
            html`<tr>
              <th scope="row">${nameOf(row)} ${row}</th>
              ${ids.map((column) =>
                row === column
                  ? html`<td class="same"><strong>${number(own.get(row))}</strong></td>`
                  : html`<td title=${`${nameOf(row)} and ${nameOf(column)}`}>
                      <span
                        class="heat"
                        .style=${`opacity: ${(0.04 + 0.4 * (shared(row, column) / Math.max(1, Math.min(own.get(row), own.get(column))))).toFixed(2)}`}
                      ></span
                      ><span>${number(shared(row, column))}</span>
                    </td>`,
              )}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

export const audience = { open, change, close, draw };
