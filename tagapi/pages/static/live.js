// The one socket of the page: what is followed, and how it comes back by itself when the service was away.

import { fetched } from "./api.js";
import { app, redraw } from "./state.js";

const FIRST = 300; // ms before the first new try; each later one waits longer
const LONGEST = 5000;
const AT_ONCE = 100; // jobs that one message may name
const BEAT = 10000; // ms; a connection can die without a word
const QUIET = 1, LOST = 2; // beats without a word: then it is asked for one; then nobody is there
const NOBODY = "00000000-0000-0000-0000-000000000000"; // no job has this id, and that is an answer, too

class Live {
  constructor() {
    this.listeners = new Set();
    this.named = new Map(); // how many follow a job by name
    this.everybody = false;
    this.socket = null;
    this.tries = 0;
    this.timer = null;
    this.silent = 0; // beats
    this.on = false;
    setInterval(() => this.beat(), BEAT);
    addEventListener("online", () => this.again(0));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && app.live === "away") this.again(0);
    });
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
    this.socket?.close();
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

  async connect() {
    clearTimeout(this.timer);
    if (!this.on || this.socket !== null) return;
    const opening = (this.socket = {});
    try {
      const answer = await fetched("POST", "/api/tasks/ws/ticket", { signal: AbortSignal.timeout(BEAT) });
      const told = await answer.json();
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
    this.silent = 0;
    socket.addEventListener("open", () => this.opened());
    socket.addEventListener("message", (event) => this.heard(JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.away();
    });
  }

  opened() {
    this.tries = this.silent = 0;
    this.say({ subscribe: this.everybody ? "all" : "mine" });
    this.ask([...this.named.keys()]);
    app.live = "open";
    for (const listener of this.listeners) listener.back?.(); // what changed since it was read, nobody has told
    redraw();
  }

  beat() {
    if (this.silent >= LOST) this.lose();
    else if (this.silent++ >= QUIET) this.ask([NOBODY]);
  }

  /** Nobody answers any more, whatever the socket believes. */
  lose() {
    if (!(this.socket instanceof WebSocket)) return;
    const socket = this.socket;
    this.socket = null;
    socket.close();
    this.away();
  }

  heard(message) {
    this.silent = 0;
    if (message.task_id === undefined) return;
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
