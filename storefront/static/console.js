// The console: what an operator sees of the stack, and the switch between its model versions.

import { bars, figure, lines } from "./charts.js";
import { element, show } from "./elements.js";
import { get, post } from "./http.js";

const EVERY = 2000; // milliseconds between two looks
const MINUTE = 60; // seconds

const at = (id) => document.getElementById(id);

async function look() {
  try {
    const { traffic, versions, problems } = await get("/console/data");
    if (versions) drawVersions(versions);
    if (traffic) drawTraffic(traffic);
    drawTiles(traffic, versions);
    complain(problems.join(" · "));
  } catch (error) {
    complain(error.message);
  }
}

function complain(text) {
  if (at("problem").textContent !== text) at("problem").textContent = text;
  at("problem").hidden = !text;
}

async function activate(version) {
  at("switched").textContent = `Switching to ${version} …`;
  try {
    await post("/console/activate", { version });
    at("switched").textContent = `Version ${version} is active.`;
  } catch (error) {
    at("switched").textContent = `Not switched: ${error.message}`;
  }
  await look();
}

function drawTiles(traffic, versions) {
  const tile = (name, value, unit = "") =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value, unit && element("small", {}, ` ${unit}`)));
  const lately = (rates) => {
    const last = rates.slice(-MINUTE / traffic.step);
    return figure(last.reduce((sum, rate) => sum + rate, 0) / last.length);
  };
  const milliseconds = (value) => (value === null ? ["–"] : [figure(value), "ms"]);
  const tiles = traffic
    ? [
        tile("Events", lately(traffic.events), "a second"),
        tile("Recommendations", lately(traffic.answers.map((rate, step) => rate + traffic.records[step])), "a second"),
        tile("API answers, p50", ...milliseconds(traffic.latency.p50)),
        tile("API answers, p99", ...milliseconds(traffic.latency.p99)),
        tile("Failures", String(traffic.failures.reduce((sum, { count }) => sum + count, 0))),
      ]
    : [];
  show(at("tiles"), ...tiles, tile("Active version", versions?.active?.slice(-6) ?? "–"));
}

function drawVersions({ loaded, active }) {
  if (!loaded.length) {
    show(at("versions"), element("p", { class: "empty" }, "No version is loaded."));
    return;
  }
  const columns = ["Version", "Made", "NDCG@10", "Recall@10", "Gate", "In use"];
  const head = element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)));
  const table = element(
    "table",
    {},
    element("caption", {}, "Beside the model's figures: those of the best other way of recommending."),
    element("thead", {}, head),
    element("tbody", {}, ...loaded.map((version) => versionRow(version, active, columns))),
  );
  show(at("versions"), table);
}

function versionRow(version, active, columns) {
  const cell = (place, ...content) => element("td", { "data-label": columns[place], class: "number" }, ...content);
  const compared = (name) =>
    version.figures?.[name] == null
      ? "not measured"
      : `${version.figures[name].toFixed(3)}` + (version.rival ? ` (${version.rival.name} ${version.rival.figures[name].toFixed(3)})` : "");
  const gate =
    version.gate === undefined
      ? "–"
      : element("span", { class: version.gate ? "good" : "bad" }, version.gate ? "passed" : "refused");
  return element(
    "tr",
    {},
    element("th", { scope: "row", "data-label": columns[0] }, element("code", {}, version.version)),
    cell(1, new Date(version.made).toLocaleTimeString()),
    cell(2, compared("ndcg@10")),
    cell(3, compared("recall@10")),
    cell(4, gate),
    cell(5, version.active ? element("span", { class: "good" }, "Active") : switchButton(version.version, active)),
  );
}

function switchButton(version, active) {
  const verb = version < active ? "Roll back" : "Activate";
  const attributes = { id: `switch-${version}`, "aria-label": `${verb} ${verb === "Roll back" ? "to " : ""}${version}` };
  return element("button", { ...attributes, onclick: () => activate(version) }, verb);
}

function drawTraffic(traffic) {
  const minutes = (traffic.step * traffic.events.length) / MINUTE;
  const chart = (id, title, unit, series) => {
    const width = Math.max(280, at(id).clientWidth);
    show(at(id), ...lines({ title, unit, series, minutes, width }));
  };
  chart("rates", "Events and recommendations a second", "a second", [
    { name: "Events on the stream", values: traffic.events },
    { name: "Recommendation records", values: traffic.records },
    { name: "Answers of the API", values: traffic.answers },
  ]);
  chart("latency", "Milliseconds of an answer of the API", "ms", [
    { name: "p50", values: traffic.p50 },
    { name: "p99", values: traffic.p99 },
  ]);
  const strategies = Object.entries(traffic.strategies).map(([label, count]) => ({ label, count }));
  const counted = strategies.some(({ count }) => count);
  show(at("strategies"), counted ? bars(strategies) : element("p", { class: "empty" }, "No records yet."));
  const failures = traffic.failures.map(({ reason, count }) => ({ label: reason, count }));
  show(
    at("failures"),
    failures.length ? bars(failures, "failures") : element("p", { class: "empty good" }, "None."),
    traffic.failed ? element("p", {}, `Failed events that operations replay can put back: ${traffic.failed}`) : null,
  );
  show(at("records"), drawRecords(traffic.last_records));
}

function drawRecords(records) {
  if (!records.length) return element("p", { class: "empty" }, "No records yet.");
  const columns = ["Event", "Customer", "Items", "Strategy", "Version", "Recommended"];
  const rows = records.map((record) =>
    element(
      "tr",
      {},
      ...[
        record.type,
        record.customer ?? "a visitor",
        record.n_items,
        record.strategy ?? "–",
        record.version ?? "–",
        record.recommended.join(", ") || "–",
      ].map((text, place) => element("td", { "data-label": columns[place] }, String(text))),
    ),
  );
  const head = element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)));
  return element("div", { class: "wide" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
}

async function forever() {
  if (!document.hidden) await look();
  setTimeout(forever, EVERY);
}

forever();
