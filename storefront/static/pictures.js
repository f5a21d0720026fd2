// Draws a picture for a product: its kind gives the shape, its id the colours. The shop's own pictures lie elsewhere,
// and these pages load nothing from elsewhere.

import { drawing } from "./elements.js";

const SHAPES = [
  [/plane|glider|air/i, plane],
  [/ship|boat|ferry|schooner/i, ship],
  [/train|tram|engine/i, train],
  [/truck|bus|coach|van/i, truck],
  [/motorcycle|bike|scooter/i, motorcycle],
  [/car|vehicle/i, car],
];

export function picture(id, kind = "") {
  const hue = hash(id) % 360;
  const body = `hsl(${hue} 55% 42%)`;
  const dark = `hsl(${hue} 40% 22%)`;
  const [, shape] = SHAPES.find(([pattern]) => pattern.test(kind)) ?? [null, box];
  return drawing(
    "svg",
    { viewBox: "0 0 160 110", class: "picture", "aria-hidden": "true", focusable: "false" },
    drawing("rect", { width: 160, height: 110, fill: `hsl(${(hue + 190) % 360} 35% 92%)` }),
    drawing("rect", { y: 86, width: 160, height: 24, fill: `hsl(${(hue + 190) % 360} 25% 84%)` }),
    ...shape(body, dark),
  );
}

function hash(text) {
  let value = 7;
  for (const character of text) value = (value * 31 + character.codePointAt(0)) % 1_000_003;
  return value;
}

const path = (d, fill) => drawing("path", { d, fill });
const wheel = (x, y, r, dark) => [
  drawing("circle", { cx: x, cy: y, r, fill: dark }),
  drawing("circle", { cx: x, cy: y, r: r * 0.45, fill: "#e8ebf0" }),
];
const glass = "#dbe9f5";

function car(body, dark) {
  return [
    path("M18 78 q2 -20 24 -22 q14 -20 36 -20 q24 0 34 20 q28 2 32 14 v8 z", body),
    path("M52 56 q10 -13 24 -13 v13 z M81 43 q15 0 22 13 h-22 z", glass),
    ...wheel(46, 80, 12, dark),
    ...wheel(116, 80, 12, dark),
  ];
}

function truck(body, dark) {
  return [
    path("M16 30 h82 v48 h-82 z", body),
    path("M101 44 h24 l18 18 v16 h-42 z", dark),
    path("M107 50 h15 l11 12 h-26 z", glass),
    path("M24 40 h66 v6 h-66 z", "#ffffff66"),
    ...wheel(42, 82, 11, dark),
    ...wheel(118, 82, 11, dark),
  ];
}

function motorcycle(body, dark) {
  return [
    ...wheel(40, 74, 18, dark),
    ...wheel(120, 74, 18, dark),
    path("M40 74 l22 -22 h40 l18 22 h-10 l-14 -14 h-28 l-18 18 z", body),
    path("M54 44 h28 l6 8 h-38 z", dark),
    path("M100 52 l-6 -18 h-8 v-5 h12 l8 23 z", dark),
  ];
}

function plane(body, dark) {
  return [
    path("M14 56 q8 -8 20 -8 h76 q26 0 36 10 q-8 10 -34 10 h-78 q-14 0 -20 -12 z", body),
    path("M16 52 l-6 -26 h14 l14 24 z M70 62 l-18 30 h16 l34 -28 z M74 50 l-8 -20 h12 l20 20 z", dark),
    path("M116 52 q14 0 20 6 h-20 z", glass),
  ];
}

function ship(body, dark) {
  return [
    path("M14 68 h132 l-16 24 h-100 z", body),
    path("M42 52 h70 v14 h-70 z", "#f4f6f9"),
    path("M58 34 h12 v18 h-12 z M80 28 h12 v24 h-12 z", dark),
    path("M48 57 h8 v5 h-8 z M62 57 h8 v5 h-8 z M76 57 h8 v5 h-8 z M90 57 h8 v5 h-8 z", dark),
  ];
}

function train(body, dark) {
  return [
    path("M20 36 h62 v42 h-62 z M82 50 h50 q10 0 10 14 v14 h-60 z", body),
    path("M28 42 h18 v14 h-18 z M54 42 h18 v14 h-18 z", glass),
    path("M112 30 h12 v20 h-12 z M14 30 h74 v6 h-74 z", dark),
    ...wheel(38, 82, 9, dark),
    ...wheel(64, 82, 9, dark),
    ...wheel(98, 82, 9, dark),
    ...wheel(124, 82, 9, dark),
  ];
}

function box(body, dark) {
  return [
    path("M80 22 l48 20 v34 l-48 20 l-48 -20 v-34 z", body),
    path("M80 62 l48 -20 v34 l-48 20 z", dark),
    path("M80 22 l48 20 l-48 20 l-48 -20 z", "#ffffff55"),
  ];
}
