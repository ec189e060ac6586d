// What several views show: a status, a bar, a moment, a notice. What comes from users is text, never markup.

import { ago, exactly, moment, number, percent } from "./format.js";
import { statusName } from "./words.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";

export { html, nothing };

export const badge = (job) => html`<span class="badge ${kind(job)}">${statusName(job)}</span>`;

export function kind(job) {
  return job.parked ? "parked" : (job.status ?? "").toLowerCase();
}

export const bar = (value, label, name = "") =>
  html`<progress class="bar ${name}" max="100" .value=${value} aria-label=${label}>${percent(value)}</progress>`;

/** A moment of today is a time of day; the whole of it is told when it is pointed at. */
export const at = (iso) => (iso ? html`<time datetime=${iso} title=${exactly(iso)}>${moment(iso)}</time>` : "–");

export const since = (iso) => (iso ? html`<time datetime=${iso} title=${exactly(iso)}>${ago(iso)}</time>` : "never");

export const notice = (text, tone = "plain", more = nothing) =>
  text
    ? html`<div class="notice ${tone}" role=${tone === "bad" ? "alert" : "status"}>
        <p>${text}</p>
        ${more}
      </div>`
    : nothing;

export const empty = (title, text, more = nothing) =>
  html`<div class="empty">
    <h2>${title}</h2>
    <p>${text}</p>
    ${more}
  </div>`;

export const waiting = (text) => html`<p class="waiting" role="status"><span class="spinner"></span>${text}</p>`;

export const copy = (text) =>
  navigator.clipboard
    ? html`<button class="quiet small" @click=${() => navigator.clipboard.writeText(text).catch(() => {})}>Copy</button>`
    : nothing;

export const facts = (pairs) =>
  html`<dl class="facts">
    ${pairs
      .filter(([, value]) => value !== null && value !== undefined)
      .map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
  </dl>`;

export const panel = (title, body, more = nothing) =>
  html`<section class="panel">
    <header>
      <h2>${title}</h2>
      ${more}
    </header>
    ${body}
  </section>`;

const NO_COUNT = /(^|_)(ids?|port|status)$/; // numbers that name something

/** Any JSON value, readable; `name` is what it is called. */
export function value(one, depth = 0, name = "") {
  const digits = (item) => (NO_COUNT.test(name) ? String(item) : number(item));
  if (one === null || one === undefined) return html`<span class="none">none</span>`;
  if (typeof one === "number") return html`<span class="num">${digits(one)}</span>`;
  if (typeof one === "boolean") return one ? "yes" : "no";
  if (typeof one !== "object") return String(one) === "" ? html`<span class="none">empty</span>` : String(one);
  const entries = Object.entries(one);
  if (entries.length === 0) return html`<span class="none">none</span>`;
  if (Array.isArray(one)) {
    if (one.every((item) => typeof item !== "object" || item === null))
      return one.map((item) => (typeof item === "number" ? digits(item) : String(item))).join(", ");
    if (depth === 0 && one.every((item) => item && typeof item === "object" && !Array.isArray(item))) return table(one);
  }
  return html`<dl class="tree">
    ${entries.map(
      ([key, item]) =>
        html`<div>
          <dt>${key}</dt>
          <dd>${value(item, depth + 1, key)}</dd>
        </div>`,
    )}
  </dl>`;
}

/** Rows that are alike, with the columns of the first ones. */
export function table(rows, columns = null, label = "Rows") {
  const names = columns ?? [...new Set(rows.slice(0, 20).flatMap((row) => Object.keys(row)))];
  const right = new Set(
    names.filter((name) =>
      rows.every((row) => row[name] === null || row[name] === undefined || typeof row[name] === "number"),
    ),
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead>
        <tr>
          ${names.map(
            (name) => html`<th scope="col" class=${right.has(name) ? "num" : ""}>${name.replaceAll("_", " ")}</th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${names.map((name) => html`<td class=${right.has(name) ? "num" : ""}>${value(row[name], 1, name)}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** A bar beside its number, from 0 to 1; nothing is no bar at all. */
export const track = (share, tone = "") =>
  html`<span class="track" aria-hidden="true"
    >${share > 0 ? html`<span class="fill ${tone}" .style=${`width: ${100 * share}%`}></span>` : nothing}</span
  >`;

/** Bars beside names: the largest fills the width. */
export function bars(items, label) {
  const most = Math.max(1, ...items.map((item) => item.value));
  return html`<ul class="bars" aria-label=${label}>
    ${items.map(
      (item) =>
        html` <li>
          <span class="name">${item.name}</span>
          ${track(item.value / most, item.tone)}
          <span class="num">${number(item.value)}</span>${item.more
            ? html`<span class="more">${item.more}</span>`
            : nothing}
        </li>`,
    )}
  </ul>`;
}
