// One request to the service: the token is sent where there is one, and what went wrong is told in one shape.

import { setClock } from "./format.js";
import { inWords } from "./words.js";

const KEY = "tagapi.token"; // in this session alone

export class Refused extends Error {
  constructor(status, code, text, answer) {
    super(inWords(status, code, text));
    this.status = status;
    this.code = code;
    this.retryAfter = Number(answer.headers.get("Retry-After")) || null;
  }
}

export class Unreachable extends Error {
  constructor() {
    super("The service does not answer. This page goes on by itself as soon as it does.");
    this.status = 0;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

let shown = () => {};
let lost = () => {};

/** Have `what` called whenever the service asks for a token, or takes this one no more. */
export function whenAsked(what) {
  shown = what;
}

/** Have `what` called whenever nobody answers. */
export function whenLost(what) {
  lost = what;
}

export async function fetched(method, path, { body, headers = {} } = {}) {
  const given = token.get();
  const sent = { ...headers };
  if (given !== null) sent.Authorization = `Bearer ${given}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    const asked = { method, headers: sent, cache: "no-store", credentials: "omit" };
    answer = await fetch(path, body === undefined ? asked : { ...asked, body: JSON.stringify(body) });
  } catch {
    lost();
    throw new Unreachable();
  }
  setClock(answer.headers.get("Date"));
  if (answer.ok) return answer;
  const { code, text } = said(await answer.json().catch(() => ({})));
  const refused = new Refused(answer.status, code, text, answer);
  if (answer.status === 401 && code !== "token_not_needed") shown(refused);
  throw refused;
}

/** What a GET says. */
export async function read(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const asked = new URLSearchParams(given).toString();
  const answer = await fetched("GET", asked ? `${path}?${asked}` : path);
  const text = await answer.text().catch(() => ""); // it may break off
  try {
    return parsed(text);
  } catch {
    throw new Unreachable();
  }
}

/** Whole numbers that are too large for JavaScript stay the digits that they were, where the browser tells those. */
export const parsed = (text) =>
  JSON.parse(text, (_, value, told) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(told?.source) ? told.source : value,
  );

/** What a POST says, its status and whether the service had been asked the same before. */
export async function post(path, body, headers = {}) {
  const answer = await fetched("POST", path, { body, headers });
  return { told: await answer.json(), status: answer.status, replayed: answer.headers.has("Idempotency-Replayed") };
}

/** Each of the APIs has a shape of its own for what went wrong. */
function said(body) {
  if (typeof body.error === "object" && body.error !== null) {
    return { code: String(body.error.code).toLowerCase(), text: body.error.message };
  }
  if (body.success === false)
    return { code: null, text: [body.error, details(body.details)].filter(Boolean).join(": ") };
  if (typeof body.error === "string") return { code: body.error, text: body.message };
  return { code: null, text: body.status_message ?? body.data?.reason ?? body.message ?? "" };
}

function details(given) {
  return Object.entries(given ?? {})
    .map(([field, reasons]) => `${field} ${[reasons].flat().join(", ")}`)
    .join("; ");
}

/** A key under which a request counts once; also where the page came over plain HTTP. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
