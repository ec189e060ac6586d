// The list of jobs as it is known here: pages as far down as somebody has looked, and what was pushed since.

import { read } from "./api.js";
import { EVENTS, FINAL } from "./words.js";

const PAGE = 100;
const KEPT = 100; // events of a job
const MATCHES = { active: (row) => !FINAL.has(row.status), ended: (row) => FINAL.has(row.status) };

export class Rows {
  constructor(query, changed) {
    this.query = query;
    this.changed = changed;
    this.byId = new Map();
    this.ids = [];
    this.total = null;
    this.next = null;
    this.loading = null;
    this.error = null;
    this.dead = false;
    this.ends = Promise.resolve(); // one after the other
  }

  asked() {
    const { status, ...rest } = this.query;
    const active = { active: "true", ended: "false" }[status];
    return { ...rest, status: active ? null : status, active };
  }

  /** The first page; or, later, what has come since. */
  async first() {
    await this.load(null);
  }

  async more() {
    if (this.next !== null && this.loading === null) await this.load(this.next);
  }

  async load(cursor) {
    if (this.loading !== null) {
      this.again = true;
      return;
    }
    this.loading = read("/api/tasks", { ...this.asked(), page_size: PAGE, cursor });
    try {
      const page = await this.loading;
      if (this.dead) return;
      this.take(page, cursor);
      this.error = null;
    } catch (error) {
      this.error = error;
    } finally {
      this.loading = null;
    }
    if (this.again && !this.dead) {
      this.again = false;
      await this.load(null);
    }
    this.changed();
  }

  take(page, cursor) {
    const rows = page.tasks.map(rowOf);
    const ids = rows.map((row) => row.id);
    const joins = cursor !== null || this.ids.length === 0 || page.next === null || ids.some((id) => this.byId.has(id));
    if (cursor === null && !joins) this.forget(); // more has come than a page tells: begin anew
    if (cursor !== null || this.ids.length === 0) this.next = page.next;
    const fresh = ids.filter((id) => !this.byId.has(id));
    for (const row of rows) this.byId.set(row.id, { ...row, pace: this.byId.get(row.id)?.pace ?? null });
    if (cursor !== null) this.ids.push(...fresh); // far down a list it costs no more
    else {
      const told = new Set(ids); // in the service's order: what comes into a filter late is not the newest
      const others = this.ids.filter((id) => !told.has(id));
      this.ids = [...told, ...this.older(others, page.next === null ? "" : rows.at(-1).created)];
    }
    this.total = page.total;
  }

  /** Those that are not newer than what was told: others would have been told of, and are here no more. */
  older(ids, created) {
    const [kept, gone] = [[], []];
    for (const id of ids) (this.byId.get(id).created <= created ? kept : gone).push(id);
    for (const id of gone) this.byId.delete(id);
    return kept;
  }

  forget() {
    this.byId.clear();
    this.ids = [];
    this.next = null;
  }

  /** What a push says of a job: true where the list has to be read for it. */
  heard(message) {
    const old = this.loading !== null && message.event !== "progress"; // what is being read may not say it yet
    return this.change(message) || old;
  }

  change(message) {
    const row = this.byId.get(message.task_id);
    if (row === undefined)
      return message.event === "accepted" || message.event === "snapshot" || message.event === "finished";
    if (message.event === "unknown") return false;
    const ended = message.final === true && !FINAL.has(row.status);
    row.pace = paced(row.pace, message);
    row.status = message.status;
    row.percentage = message.progress?.percentage ?? row.percentage;
    if (message.event === "phase") row.phase = message.detail;
    if (message.final) row.completed = message.at;
    if (!row.started && message.event === "started") row.started = message.at;
    if (!matches(row, this.query.status)) this.drop(row.id);
    if (!ended || !this.byId.has(row.id)) return false;
    if (this.ids.indexOf(row.id) < PAGE) return true;
    this.ends = this.ends.then(() => this.one(row.id)); // the first page does not tell what came of it
    return false;
  }

  async one(id) {
    const told = await read(`/api/tasks/status/${id}`).catch(() => null);
    if (!told?.found || !this.byId.has(id)) return;
    this.byId.set(id, rowOf(told));
    this.changed();
  }

  /** Those that may have ended unheard, while nothing was pushed. */
  unfinished() {
    return this.ids.filter((id) => !FINAL.has(this.byId.get(id).status));
  }

  drop(id) {
    this.byId.delete(id);
    this.ids = this.ids.filter((one) => one !== id);
    this.total = Math.max(0, this.total - 1);
  }
}

function matches(row, status) {
  return !status || (MATCHES[status] ? MATCHES[status](row) : row.status === status);
}

function rowOf(task) {
  return {
    id: task.task_id,
    task: task.task,
    owner: task.owner,
    status: task.status,
    percentage: task.progress?.percentage ?? 0,
    created: task.created_at,
    started: task.started_at,
    completed: task.completed_at,
    attempt: task.attempt,
    parked: task.parked,
    undoing: task.undoing,
    error: task.error,
    came: task.status === "SUCCESS" ? outcome(task.result) : null,
    phase: null,
    pace: null,
  };
}

/** A result in a few words. */
function outcome(result) {
  if (typeof result !== "object" || result === null) return null;
  const count = (value, one, more = `${one}s`) => `${value.toLocaleString("en")} ${value === 1 ? one : more}`;
  if (Array.isArray(result.tags) && typeof result.total_users === "number")
    return `${count(result.tags.length, "tag")} over ${count(result.total_users, "user")}`;
  if (result.file)
    return `${result.file.name}${typeof result.total_records === "number" ? ` · ${count(result.total_records, "row")}` : ""}`;
  if (result.external_campaign_id) return `campaign ${result.external_campaign_id}`;
  if (typeof result.members === "number") return `${count(result.members, "member")}`;
  if (typeof result.processed === "number") return `${count(result.processed, "document")}`;
  if (result.statistic)
    return (
      Object.entries(result.statistic)
        .filter(([, value]) => value)
        .slice(0, 3)
        .map(([key, value]) => `${value} ${key.replace(/_cnt$/, "s")}`)
        .join(", ") || "nothing found"
    );
  if (typeof result.total_users === "number") return `${count(result.total_users, "user")}`;
  if (Array.isArray(result.segments)) return count(result.segments.length, "segment");
  return null;
}

/** How fast it goes: since its phase began, or since this page first heard of it. */
export function paced(before, message) {
  const { done, total } = message.progress ?? {};
  const sample = { at: Date.parse(message.at), done: done ?? 0 };
  if (
    before === null ||
    before === undefined ||
    message.event === "phase" ||
    message.event === "started" ||
    sample.done < before.first.done
  ) {
    return { first: sample, last: sample, total };
  }
  return { first: before.first, last: sample, total };
}

/** Seconds that are left at this pace; null while that is not known. */
export function secondsLeft(pace) {
  if (!pace?.total || pace.last.done <= pace.first.done) return null;
  const each = (pace.last.at - pace.first.at) / 1000 / (pace.last.done - pace.first.done);
  return Math.ceil(Math.max(0, pace.total - pace.last.done) * each);
}

/** What happened to a job, as much of it as the service keeps: the first event, and the last ones. */
export function merged(events, more) {
  const known = new Map([...events, ...more].map((event) => [event.number, event]));
  const all = [...known.values()].sort((a, b) => a.number - b.number);
  return all.length > KEPT ? [all[0], ...all.slice(1 - KEPT)] : all;
}

export const eventName = (event) => EVENTS[event] ?? event;
