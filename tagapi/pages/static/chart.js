// A small chart of a number over the runs that found it: one line, its ends told, every point with its words.

import { exactly, moment, number } from "./format.js";
import { html, nothing } from "./parts.js";
import { svg } from "./vendor/lit-html/lit-html.js";

const WIDTH = 640,
  HEIGHT = 150,
  LEFT = 52,
  RIGHT = 16,
  TOP = 12,
  BOTTOM = 26;

/** `points`: `{at, value}`, oldest first. They stand at equal distances: a run is a run, however long after the last. */
export function line(points, label) {
  const values = points.map((point) => point.value);
  const [low, high] = bounds(values);
  const x = (place) =>
    points.length === 1 ? (LEFT + WIDTH - RIGHT) / 2 : LEFT + (place * (WIDTH - LEFT - RIGHT)) / (points.length - 1);
  const y = (value) => TOP + ((high - value) * (HEIGHT - TOP - BOTTOM)) / (high - low);
  const path = points
    .map((point, place) => `${place ? "L" : "M"}${x(place).toFixed(1)} ${y(point.value).toFixed(1)}`)
    .join("");
  const foot = HEIGHT - BOTTOM;
  return html`<svg
    class="chart"
    viewBox="0 0 ${WIDTH} ${HEIGHT}"
    role="img"
    aria-label=${`${label}: ${values.map(number).join(", ")}`}
  >
    ${[low, high].map(
      (value) =>
        svg`<line class="axis" x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y(value)} y2=${y(value)}/><text x=${LEFT - 8} y=${y(value) + 4} text-anchor="end">${number(value)}</text>`,
    )}
    ${points.length > 1
      ? svg`<path class="area" d=${`${path}L${x(points.length - 1)} ${foot}L${x(0)} ${foot}Z`}/><path class="line" d=${path}/>`
      : nothing}
    ${points.map(
      (point, place) =>
        svg`<circle cx=${x(place)} cy=${y(point.value)} r="3.5"><title>${number(point.value)}, ${exactly(point.at)}</title></circle>`,
    )}
    ${points.length > 1 ? svg`<text x=${LEFT} y=${HEIGHT - 6}>${moment(points[0].at)}</text>` : nothing}
    <text
      x=${points.length > 1 ? WIDTH - RIGHT : x(0)}
      y=${HEIGHT - 6}
      text-anchor=${points.length > 1 ? "end" : "middle"}
    >
      ${moment(points.at(-1).at)}
    </text>
  </svg>`;
}

/** A little room above and below; never a line without height. */
function bounds(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = Math.max(1, Math.ceil((high - low) * 0.15));
  return [Math.max(0, low - room), high + room];
}
