// A job's story: how far it is, what was asked, its attempts, what happened and why it failed. All of it is only told.

import { between, now, number, percent, seconds } from "../format.js";
import { at, bar, facts, html, kind, nothing, panel, since, value } from "../parts.js";
import { href } from "../route.js";
import { eventName, secondsLeft } from "../rows.js";
import { advice, phaseName, reason, statusName } from "../words.js";

export function wrong(status) {
  if (!status.error) return nothing;
  const ended = status.status === "FAILURE";
  return html`<section class="wrong ${ended ? "bad" : "plain"}">
    <h2>${ended ? "Why it failed" : status.status === "REVOKED" ? "What it says" : "Why the last attempt ended"}</h2>
    <p class="reason">${reason(status.error)}</p>
    ${ended ? html`<p><strong>What to do.</strong> ${advice(status.error)}</p>` : nothing}
  </section>`;
}

export function moving(status, progress, pace) {
  const { percentage = 0, done, total } = status.progress ?? {};
  const left = secondsLeft(pace) ?? progress?.seconds_left ?? null;
  const told = [
    total ? `${number(done)} of ${number(total)}` : null,
    left !== null && status.status === "STARTED" ? `about ${seconds(left)} left` : null,
  ]
    .filter(Boolean)
    .join(" · ");
  const running = progress?.phase;
  return panel(
    "Progress",
    html`<div class="big">
        ${bar(percentage, "Progress of the job", "tall")}<span class="num">${percent(percentage)}</span>
      </div>
      <p class="told">
        ${status.status === "PENDING"
          ? "Waits for its turn."
          : status.status === "RETRY"
            ? "Waits for its next attempt."
            : told || "At work."}
      </p>
      ${progress?.phases.length
        ? html`<ol class="phases">
            ${progress.phases.map(
              (phase) =>
                html`<li class=${phase.name === running ? "now" : "done"}>
                  <span>${phaseName(phase.name)}</span
                  ><span class="num">${phase.total ? `${number(phase.done)} / ${number(phase.total)}` : ""}</span
                  ><span class="num">${seconds(phase.seconds)}</span>
                </li>`,
            )}
          </ol>`
        : nothing}`,
  );
}

/** What was asked for, without what was left as it is. */
function said(given) {
  const plain = (one) => (one !== null && typeof one === "object" && !Array.isArray(one) ? said(one) : one);
  const asked = Object.entries(given).map(([name, one]) => [name, plain(one)]);
  const left = (one) => [null, false, ""].includes(one) || (typeof one === "object" && Object.keys(one).length === 0);
  return Object.fromEntries(asked.filter(([, one]) => !left(one)));
}

export function args(asked) {
  const entries = Object.entries(said(asked.arguments));
  if (entries.length === 0) return html`<p class="told">Nothing but the task itself.</p>`;
  const cut = Object.entries(asked.shortened);
  return html`${facts(entries.map(([name, one]) => [name.replaceAll("_", " "), value(one, 1, name)]))}
  ${cut.map(
    ([name, count]) =>
      html`<p class="told">Of ${name.replaceAll("_", " ")} the first 100 are shown; there are ${number(count)}.</p>`,
  )}`;
}

export function glance(status) {
  const { created_at: created, started_at: started, completed_at: completed } = status;
  return facts([
    ["Owner", status.owner],
    ["Task", html`<code>${status.task}</code>`],
    ["Accepted", html`${at(created)} <small>${since(created)}</small>`],
    ["Waited", started ? between(created, started) : null],
    ["Ran for", started ? between(started, completed ?? now()) : null],
    ["Ended", completed ? at(completed) : null],
    ["Attempt", `${status.attempt} of ${status.max_attempts ?? "?"}`],
    [
      "Repeats",
      status.retry_of ? html`<a href=${href("jobs", status.retry_of)}>${status.retry_of.slice(0, 8)}</a>` : null,
    ],
  ]);
}

/** Every attempt with how it ended, by what happened in it. */
export function attempts(events) {
  const each = new Map();
  for (const event of events) {
    if (event.attempt < 1) continue;
    const attempt = each.get(event.attempt) ?? { from: event.at, to: null, end: null };
    if (["retried", "finished", "parked"].includes(event.event)) Object.assign(attempt, { to: event.at, end: event });
    each.set(event.attempt, attempt);
  }
  if (each.size < 2) return nothing;
  return panel(
    "Attempts",
    html`<ol class="attempts">
      ${[...each].map(
        ([place, one]) =>
          html`<li>
            <span class="place">${place}</span
            ><span
              >${one.end === null ? "at work" : one.end.event === "finished" ? statusName(one.end) : "no outcome"}
              ${one.end?.detail && one.end.event !== "finished"
                ? html`<small>${reason(one.end.detail)}</small>`
                : nothing}</span
            ><span class="num">${one.to ? between(one.from, one.to) : ""}</span>
          </li>`,
      )}
    </ol>`,
  );
}

/** Of progress that follows progress the last is told. */
const telling = (event, place, all) => event.event !== "progress" || all[place + 1]?.event !== "progress";

export function timeline(events) {
  return html`<ol class="timeline">
    ${events.filter(telling).map(
      (event) =>
        html`<li class=${event.event === "finished" ? kind(event) : event.event.replaceAll(" ", "-")}>
          ${at(event.at)}<span
            ><strong>${event.event === "finished" ? statusName(event) : eventName(event.event)}</strong>
            ${event.event === "phase"
              ? html` ${phaseName(event.detail)}`
              : event.event === "progress"
                ? html` <span class="num">${percent(event.progress.percentage)}</span>`
                : nothing}
            ${event.detail && !["phase", "finished"].includes(event.event)
              ? html`<small>${reason(event.detail)}</small>`
              : nothing}</span
          >
        </li>`,
    )}
  </ol>`;
}
