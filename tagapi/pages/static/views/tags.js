// All tags beside each other: how many carry each, by which rule, and when that was last found out.

import { newKey, post } from "../api.js";
import { number } from "../format.js";
import { readTags, tagName } from "../known.js";
import { live } from "../live.js";
import { html, notice, nothing, panel, since, track, waiting } from "../parts.js";
import { go, href } from "../route.js";
import { redraw } from "../state.js";

let all = null,
  error = null,
  picked = new Set(),
  said = null,
  busy = false,
  unlisten = null,
  mine = new Set(),
  key = newKey();

function open() {
  [said, key] = [null, newKey()];
  unlisten = live.listen({ message: heard, back: load });
  load();
}

const close = () => unlisten();

async function load() {
  try {
    [all, error] = [await readTags(), null];
    if (all.length > 0 && all.every((tag) => tag.error)) error = all[0].error;
  } catch (failure) {
    error = failure;
  }
  redraw();
}

function heard(message) {
  if (message.final && mine.delete(message.task_id)) load();
}

function pick(id, on) {
  if (on) picked.add(id);
  else picked.delete(id);
  key = newKey();
  redraw();
}

async function run() {
  busy = true;
  redraw();
  try {
    const { told } = await post(
      "/api/v1/tags/trigger",
      { tag_ids: [...picked].sort((a, b) => a - b) },
      { "Idempotency-Key": key },
    );
    mine.add(told.task_id);
    said = {
      tone: "good",
      text: `A job computes ${picked.size === 1 ? "this tag" : `these ${picked.size} tags`} for everyone.`,
      id: told.task_id,
    };
    [picked, key] = [new Set(), newKey()];
  } catch (failure) {
    said = { tone: "bad", text: failure.message };
  }
  busy = false;
  redraw();
}

function find(event) {
  event.preventDefault();
  const user = new FormData(event.target).get("user");
  if (user.trim()) go(href("users", user.trim()));
}

function draw() {
  return html`<div class="head">
      <h1>Tags</h1>
      <div class="actions">
        <button ?disabled=${busy || picked.size === 0} @click=${run}>
          ${picked.size === 0 ? "Choose tags to run" : `Run ${picked.size === 1 ? "1 tag" : `${picked.size} tags`}`}
        </button>
      </div>
    </div>
    ${said
      ? notice(
          said.text,
          said.tone,
          said.id ? html`<a class="button" href=${href("jobs", said.id)}>Watch it</a>` : nothing,
        )
      : nothing}
    ${error ? notice(error.message, "bad", html`<button class="quiet" @click=${load}>Try again</button>`) : nothing}
    ${all === null
      ? error
        ? nothing
        : waiting("Reading the tags …")
      : html`<section class="panel">${list()}</section>`}
    ${panel(
      "Why does a user have a tag?",
      html`<form class="inline" @submit=${find}>
        <label
          ><span>User id</span
          ><input
            name="user"
            autocomplete="off"
            spellcheck="false"
            maxlength="255"
            placeholder="user_000001"
            required /></label
        ><button>Explain</button>
      </form>`,
    )}`;
}

function list() {
  const most = Math.max(1, ...all.map((tag) => tag.members ?? 0));
  const every = picked.size === all.length;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Tags">
    <table class="tagtable">
      <thead>
        <tr>
          <th class="pick">
            <input
              type="checkbox"
              aria-label="All tags"
              .checked=${every}
              @change=${() => {
                picked = new Set(every ? [] : all.map((tag) => tag.tag_id));
                key = newKey();
                redraw();
              }}
            />
          </th>
          <th scope="col">Tag</th>
          <th scope="col" class="num">Members</th>
          <th scope="col" class="wide"><span class="none">Share of the largest</span></th>
          <th scope="col" class="wide">Rule</th>
          <th scope="col" class="num">Last run</th>
        </tr>
      </thead>
      <tbody>
        ${all.map(
          (tag) =>
            html`<tr>
              <td class="pick">
                <input
                  type="checkbox"
                  aria-label=${`Run ${tagName(tag)}`}
                  .checked=${picked.has(tag.tag_id)}
                  @change=${(event) => pick(tag.tag_id, event.target.checked)}
                />
              </td>
              <th scope="row">
                <a href=${href("tags", tag.tag_id)}>${tagName(tag)}</a><small>${tag.tag_id} · ${tag.description}</small>
              </th>
              <td class="num">${tag.members === null ? "–" : number(tag.members)}</td>
              <td class="wide">${track((tag.members ?? 0) / most)}</td>
              <td class="wide"><code>${tag.rule ?? ""}</code></td>
              <td class="num">${since(tag.last_run)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

export const tags = { open, close, draw };
