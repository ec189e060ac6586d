// The one socket of the page: what is followed, and how it comes back by itself when the service was away.

import { post } from "./api.js";
import { app, redraw } from "./state.js";

const FIRST = 300; // ms before the first new try; each later one waits longer
const LONGEST = 5000;
const AT_ONCE = 100; // jobs that one message may name
const SILENT = 30e3; // ms without a word, after which the service is asked for one
const ANSWER = 10e3; // ms in which it comes, or nobody is there any more, whatever the socket says
const LOOK = 5e3; // ms between two looks
const NO_JOB = "00000000-0000-4000-8000-000000000000"; // asked after it, the service says that there is none

class Live {
  constructor() {
    this.listeners = new Set();
    this.named = new Map(); // how many follow a job by name
    this.everybody = false;
    this.socket = null;
    this.tries = 0;
    this.timer = null;
    this.on = false;
    this.heardAt = 0;
    this.askedAt = null; // when it was asked for a word
    addEventListener("online", () => {
      this.heardAt = -SILENT; // of the network before
      this.again(0);
      this.look();
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      if (app.live === "away") this.again(0);
      this.look();
    });
    setInterval(() => this.look(), LOOK);
  }

  /** Follow all that this caller may see. */
  start(everybody) {
    this.everybody = everybody;
    this.on = true;
    this.connect();
  }

  stop() {
    this.on = false;
    clearTimeout(this.timer);
    this.socket?.close?.(); // one that is about to open cannot be closed
    this.socket = null;
  }

  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  follow(id) {
    this.named.set(id, (this.named.get(id) ?? 0) + 1);
    this.say({ subscribe: [id] }); // asked again, the service tells how it is
  }

  unfollow(id) {
    const count = (this.named.get(id) ?? 0) - 1;
    if (count > 0) this.named.set(id, count);
    else if (this.named.delete(id)) this.say({ unsubscribe: [id] });
  }

  /** Hear how these jobs are, and of every change from then on. */
  ask(ids) {
    for (let first = 0; first < ids.length; first += AT_ONCE)
      this.say({ subscribe: ids.slice(first, first + AT_ONCE) });
  }

  say(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** A socket whose other end is gone may not say so for minutes. */
  look() {
    if (this.socket === null) return;
    const now = performance.now();
    if (this.askedAt !== null && now - this.askedAt > ANSWER) {
      this.lose();
    } else if (this.askedAt === null && now - this.heardAt > SILENT) {
      this.askedAt = now;
      this.say({ subscribe: [NO_JOB] });
    }
  }

  /** A request was lost: what it was to read is read with the next socket. */
  doubt() {
    if (this.socket instanceof WebSocket) this.lose();
  }

  /** Nobody answers any more, whatever the socket believes. */
  lose() {
    const dead = this.socket;
    this.socket = null;
    dead.close?.();
    this.away();
  }

  async connect() {
    clearTimeout(this.timer);
    if (!this.on || this.socket !== null) return;
    [this.heardAt, this.askedAt] = [performance.now(), null];
    const opening = (this.socket = {});
    try {
      const { told } = await post("/api/tasks/ws/ticket");
      if (this.socket !== opening) return;
      this.open(new URL(`/api/tasks/ws?ticket=${encodeURIComponent(told.ticket)}`, location.href));
    } catch (error) {
      if (this.socket !== opening) return;
      this.socket = null;
      if (error.status !== 401) this.away();
    }
  }

  open(address) {
    address.protocol = address.protocol.replace("http", "ws");
    const socket = (this.socket = new WebSocket(address));
    socket.addEventListener("open", () => this.opened());
    socket.addEventListener("message", (event) => this.heard(JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.away();
    });
  }

  opened() {
    this.tries = 0;
    this.say({ subscribe: this.everybody ? "all" : "mine" });
    this.ask([...this.named.keys()]);
    app.live = "open";
    for (const listener of this.listeners) listener.back?.(); // what changed since it was read, nobody has told
    redraw();
  }

  heard(message) {
    [this.heardAt, this.askedAt] = [performance.now(), null];
    if (message.task_id === undefined || message.task_id === NO_JOB) return;
    for (const listener of this.listeners) listener.message?.(message);
  }

  away() {
    if (!this.on) return;
    app.live = "away";
    this.again(Math.min(LONGEST, FIRST * 1.6 ** this.tries++) * (0.7 + 0.6 * Math.random()));
    redraw();
  }

  again(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), wait);
  }
}

export const live = new Live();
