// Numbers, times and sizes as people read them.

const whole = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
const NEAR = 2000; // ms: nearer than that, clocks are the same

let ahead = 0; // ms by which the service's clock is ahead of this one

/** What the service's clock said just now, as its answers have it. */
export function setClock(date) {
  const away = Date.parse(date) + 500 - Date.now(); // it tells whole seconds
  if (!Number.isNaN(away)) ahead = Math.abs(away) < NEAR ? 0 : away;
}

/** The time by the service's clock, which is the one that all times are of. */
export const now = () => Date.now() + ahead;

const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];

export const number = (value) =>
  typeof value === "number" && Number.isInteger(value) ? whole.format(value) : String(value);

export const percent = (value) => `${Math.floor(value)} %`;

export function moment(iso) {
  const at = new Date(iso);
  return at.toDateString() === new Date(now()).toDateString() ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`;
}

export const exactly = (iso) => full.format(new Date(iso));

/** The two largest units: 1 h 5 min. */
export function seconds(value) {
  if (value < 10 && !Number.isInteger(value)) return `${value.toFixed(value < 1 ? 2 : 1)} s`;
  let left = Math.round(value);
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
    if (parts.length === 2 || (parts.length === 1 && count === 0)) break;
  }
  return parts.join(" ") || "0 s";
}

export const between = (from, to) => seconds(Math.max(0, (new Date(to) - new Date(from)) / 1000));

export function ago(iso) {
  const passed = (now() - new Date(iso)) / 1000;
  if (passed < 5) return "just now";
  return passed < 60 ? `${Math.floor(passed)} s ago` : `${seconds(passed).split(" ").slice(0, 2).join(" ")} ago`;
}

export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes,
    place = 0;
  while (value >= 1000 && place < units.length - 1) [value, place] = [value / 1000, place + 1];
  return `${place === 0 ? whole.format(value) : value.toFixed(value < 10 ? 1 : 0)} ${units[place]}`;
}
