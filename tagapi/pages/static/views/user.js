// Why a user has a tag, or has it not: rule by rule, as it is stored and as it is now.

import { read } from "../api.js";
import { nameOf } from "../known.js";
import { html, empty, notice, nothing, waiting } from "../parts.js";
import { href } from "../route.js";
import { redraw } from "../state.js";

let id = null,
  tags = null,
  error = null;

function open(route) {
  [id, tags, error] = [route.id, null, null];
  load();
}

async function load() {
  const of = id;
  try {
    const found = await read(`/api/v1/users/${encodeURIComponent(of)}/tags`, { explain: true });
    if (of === id) [tags, error] = [found.tags, null];
  } catch (failure) {
    if (of === id) error = failure;
  }
  redraw();
}

const late = (one) =>
  one.member !== one.matches_now
    ? html`<small
        >${one.matches_now
          ? "The rule matches by now; the next run brings them in."
          : "The rule matches no more; the next run takes them out."}</small
      >`
    : nothing;

function draw() {
  const head = html`<nav class="crumbs" aria-label="Where you are"><a href=${href("tags")}>Tags</a></nav>
    <div class="head">
      <div>
        <h1>${id}</h1>
        <p class="told">Why this user has a tag, or has it not</p>
      </div>
    </div>`;
  if (error)
    return html`${head}${error.status === 404
      ? empty("There is no such user", "No row of user_basic_info has exactly this id.")
      : notice(error.message, "bad", html`<button class="quiet" @click=${load}>Try again</button>`)}`;
  if (tags === null) return html`${head}${waiting("Asking each rule …")}`;
  return html`${head}
    <section class="panel">
      <div class="scroll" tabindex="0" role="region" aria-label="Tags of the user">
        <table>
          <thead>
            <tr>
              <th scope="col">Tag</th>
              <th scope="col">Carries it</th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            ${tags.map(
              (one) =>
                html`<tr>
                  <th scope="row"><a href=${href("tags", one.tag_id)}>${nameOf(one.tag_id)}</a></th>
                  <td class=${one.member ? "yes" : "no"}>${one.member ? "yes" : "no"}</td>
                  <td>${one.reason}${late(one)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </section>`;
}

export const user = { open, draw };
