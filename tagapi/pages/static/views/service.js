// The service at a glance: what it does, what waits, and what is wrong, in words.

import { read } from "../api.js";
import { number, seconds } from "../format.js";
import { live } from "../live.js";
import { at, facts, html, notice, nothing, panel, waiting } from "../parts.js";
import { href } from "../route.js";
import { app, redraw } from "../state.js";
import { plain, taskName } from "../words.js";

const SOON = 1000; // ms: what changes meanwhile is looked at together
const LONG = 300; // seconds after which a wait is worth a word
const LANES = {
  spark: "Spark",
  platforms: "Platforms",
  audiences: "Audiences",
  documents: "Documents",
  scans: "Scans",
  monitors: "Monitors",
};

let whose = null, // who looked
  seen = null,
  taken = 0,
  error = null,
  timer = null,
  unlisten = null;

function open() {
  if (whose !== app.who) [whose, seen, error] = [app.who, null, null];
  unlisten = live.listen({ message: later, back: load });
  load();
}

function close() {
  clearTimeout(timer);
  timer = null;
  unlisten();
}

function later(message) {
  if (message.event !== "progress") timer ??= setTimeout(load, SOON);
}

async function load() {
  clearTimeout(timer);
  timer = null;
  try {
    [seen, error] = [await read("/api/tasks/service"), null];
    taken = Date.now();
  } catch (failure) {
    error = failure;
  }
  redraw();
}

/** What is wrong, in words, the worst first. */
function wrongs() {
  const told = [];
  if (!seen.accepting)
    told.push("It is stopping: nothing new is accepted. Another process takes over, or it starts again.");
  if (seen.spark !== "ready")
    told.push(
      "Spark is not ready: jobs that need it wait, and tags cannot be read. It is started again by itself; if this stays, look at the log.",
    );
  if (seen.executor.up === false)
    told.push(
      "The message broker is away: jobs are accepted, and begin when it is back. It is asked again every second.",
    );
  if (seen.parked)
    told.push(
      `${seen.parked === 1 ? "One job is" : `${seen.parked} jobs are`} parked: nobody could find out whether what it wrote is there. An admin opens it and says what is true.`,
    );
  for (const lane of seen.lanes) {
    if (lane.oldest_seconds > LONG)
      told.push(
        `In “${LANES[lane.lane] ?? lane.lane}” a job has waited for ${seconds(waited(lane))}${lane.running < room(lane) ? ", though there is room: what it needs may be away" : ": more come than are done"}.`,
      );
  }
  if (seen.pushes.open >= seen.pushes.most)
    told.push("As many pages and streams are open as may be: new ones are turned away (TAGAPI_SERVER__MAX_PUSHES).");
  if (seen.credits && seen.credits.used === null)
    told.push("The month's credits cannot be read: the storage does not answer.");
  if (seen.credits?.total && seen.credits.used >= seen.credits.total)
    told.push("Your credits of this month are used up: exports of documents stop.");
  if (seen.store.durable === false || seen.store.kind === "memory")
    told.push("Jobs are kept in memory alone: they are gone when the service ends.");
  return told;
}

/** For how many attempts at once there is room, in all processes. */
const room = (lane) => lane.slots * seen.processes;
const waited = (lane) => lane.oldest_seconds + (Date.now() - taken) / 1000;

function draw() {
  const head = html`<div class="head">
    <h1>Service</h1>
    ${seen ? html`<p class="count">version ${seen.version} · seen ${at(seen.at)}</p>` : nothing}
    <div class="actions"><button class="quiet" @click=${load}>Look again</button></div>
  </div>`;
  if (error) return html`${head}${notice(error.message, "bad")}${seen ? body() : nothing}`;
  return html`${head}${seen ? body() : waiting("Looking …")}`;
}

function body() {
  const wrong = wrongs();
  const running = seen.lanes.reduce((sum, lane) => sum + lane.running, 0);
  const queued = seen.lanes.reduce((sum, lane) => sum + lane.waiting, 0);
  return html` ${wrong.length
      ? html`<section class="wrong bad">
          <h2>${wrong.length === 1 ? "Something is wrong" : `${wrong.length} things are wrong`}</h2>
          <ul>
            ${wrong.map((text) => html`<li>${text}</li>`)}
          </ul>
        </section>`
      : html`<p class="fine"><span class="dot" aria-hidden="true"></span>All is well.</p>`}
    <ul class="tiles">
      ${tile("Spark", seen.spark === "ready" ? "ready" : "starting", seen.spark === "ready" ? "good" : "bad")}
      ${tile("Running", number(running))}${tile("Waiting", number(queued))}
      ${tile(
        "Open pages",
        `${seen.pushes.open} of ${seen.pushes.most}`,
        seen.pushes.open >= seen.pushes.most ? "bad" : "",
      )}
      ${tile(
        "Schedules",
        seen.schedules.paused
          ? `${seen.schedules.total}, ${seen.schedules.paused} paused`
          : number(seen.schedules.total),
      )}
      ${seen.credits
        ? tile(
            "Credits",
            seen.credits.total ? `${number(seen.credits.used)} of ${number(seen.credits.total)}` : "not readable",
          )
        : nothing}
    </ul>
    ${panel("Pool and queue", lanes(), html`<a href=${href("jobs", null, { status: "active" })}>Active jobs</a>`)}
    <div class="columns even">
      ${panel(
        "Job store",
        facts(
          Object.entries(seen.store).map(([name, one]) => [
            plain(name),
            typeof one === "object" && one !== null ? JSON.stringify(one) : String(one),
          ]),
        ),
      )}
      ${panel(
        "Processes and schedules",
        html`${workers()}${facts([
          [
            "Next run",
            seen.schedules.next
              ? html`${taskName(seen.schedules.next.task)}, ${at(seen.schedules.next.at)}`
              : "nothing is scheduled",
          ],
          ["Credits begin anew", seen.credits?.next ? at(seen.credits.next) : null],
        ])}`,
      )}
    </div>`;
}

const tile = (name, text, tone = "") => html`<li class=${tone}><span>${name}</span><strong>${text}</strong></li>`;

function lanes() {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Lanes">
    <table>
      <thead>
        <tr>
          <th scope="col">Lane</th>
          <th scope="col">In use</th>
          <th scope="col" class="num">Running</th>
          <th scope="col" class="num">Waiting</th>
          <th scope="col" class="num">Oldest waits</th>
        </tr>
      </thead>
      <tbody>
        ${seen.lanes.map(
          (lane) =>
            html`<tr>
              <th scope="row">${LANES[lane.lane] ?? lane.lane}</th>
              <td class="slots">${slots(lane)}</td>
              <td class="num">${lane.running}</td>
              <td class="num">${number(lane.waiting)}</td>
              <td class="num ${lane.oldest_seconds > LONG ? "bad" : ""}">
                ${lane.oldest_seconds === null ? "–" : seconds(waited(lane))}
              </td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

const slots = (lane) =>
  html`<span class="dots" role="img" aria-label=${`${lane.running} of ${room(lane)}`}
    >${Array.from(
      { length: Math.min(16, Math.max(room(lane), lane.running)) },
      (_, place) => html`<span class=${place < lane.running ? "on" : ""}></span>`,
    )}</span
  >`;

function workers() {
  if (seen.workers === null) return html`<p class="told">Which processes there are, an admin sees.</p>`;
  if (seen.workers.length === 0) return html`<p class="told">No process runs anything now.</p>`;
  return html`<ul class="plainlist">
    ${seen.workers.map(
      (one) => html`<li><code>${one.worker}</code><span class="num">${one.running} running</span></li>`,
    )}
  </ul>`;
}

export const service = { open, close, draw };
