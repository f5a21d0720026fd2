// Draws lines over time and bars. Each has its figures as text too: in the legend, and as the picture's name.

import { drawing, element } from "./elements.js";

const HEIGHT = 176;
const LEFT = 44;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 22;

// `series`: [{ name, values }], a value for each step, null where there is none. `unit` follows a figure.
export function lines({ title, series, unit, minutes, width }) {
  const most = nice(Math.max(...series.flatMap(({ values }) => values.map((value) => value ?? 0))));
  const steps = series[0].values.length;
  const x = (step) => LEFT + (step / Math.max(1, steps - 1)) * (width - LEFT - RIGHT);
  const y = (value) => TOP + (1 - value / most) * (HEIGHT - TOP - BOTTOM);
  const named = series.map(({ name, values }) => `${name}: ${figures(values, unit)}`);
  const picture = drawing(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${named.join(". ")}` },
    ...[0, 0.5, 1].flatMap((share) => [
      drawing("line", { class: "rule", x1: LEFT, x2: width - RIGHT, y1: y(most * share), y2: y(most * share) }),
      drawing("text", { x: LEFT - 6, y: y(most * share) + 4, "text-anchor": "end" }, figure(most * share)),
    ]),
    drawing("text", { x: LEFT, y: HEIGHT - 6 }, `${minutes} minutes ago`),
    drawing("text", { x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, "now"),
    ...series.flatMap(({ values }, index) => line(values, index, x, y)),
  );
  const legend = element("ul", { class: "legend" }, ...named.map((text, index) => element("li", {}, key(index), text)));
  return [legend, picture];
}

// A line through the steps that have a value; a lone one is a dot.
function line(values, index, x, y) {
  const runs = [[]];
  values.forEach((value, step) => (value === null ? runs.push([]) : runs.at(-1).push([x(step), y(value)])));
  return runs
    .filter((run) => run.length)
    .map((run) =>
      run.length === 1
        ? drawing("circle", { class: `line-${index}`, cx: run[0][0], cy: run[0][1], r: 3 })
        : drawing("polyline", { class: `line-${index}`, points: run.map((point) => point.join(",")).join(" "), fill: "none" }),
    );
}

function key(index) {
  return drawing(
    "svg",
    { class: "key", viewBox: "0 0 28 10", "aria-hidden": "true" },
    drawing("line", { class: `line-${index}`, x1: 0, x2: 28, y1: 5, y2: 5 }),
  );
}

function figures(values, unit) {
  const found = values.filter((value) => value !== null);
  if (!found.length) return "none";
  return `${figure(found.at(-1))} ${unit}, at most ${figure(Math.max(...found))}`;
}

export const figure = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });

function nice(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => value <= step * power) * power;
}

// `entries`: [{ label, count }], drawn as shares of the largest.
export function bars(entries, kind = "") {
  const most = Math.max(...entries.map(({ count }) => count));
  return element(
    "ul",
    { class: `bars ${kind}` },
    ...entries.map(({ label, count }) => {
      const bar = element("div", { class: "bar" });
      bar.style.width = `${(100 * count) / most}%`;
      const text = element("div", { class: "label" }, element("span", {}, label), element("span", {}, String(count)));
      return element("li", {}, text, element("div", { class: "track", "aria-hidden": "true" }, bar));
    }),
  );
}
