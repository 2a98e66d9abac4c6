/** The curves of two sides over one axis: versions, or the seconds that each had evolved. */
import { html, useMemo, useState } from "../../lib/html.js";
import { count, known, number, percent, seconds } from "../../lib/format.js";
import { Chart } from "../../components/chart.js";

export function Curves({ data, names }) {
  const [axis, setAxis] = useState("version");
  const joined = useMemo(() => joinedBy(axis === "version" ? "version" : "evolved_seconds", data.series), [data, axis]);
  const shape = { x: joined.x, xName: axis, xFormat: axis === "version" ? count : seconds };
  const lines = (column, band) =>
    ["a", "b"].map((side, order) => ({
      name: names[order],
      values: joined.of(side, column),
      ...(band && { low: joined.of(side, `${column}_low`), high: joined.of(side, `${column}_high`) }),
      colour: order + 1,
      line: order ? "dash" : "",
    }));
  return html`<section class="stack" data-testid="curves" aria-label="Curves">
    <div class="row" role="group" aria-label="The axis">
      <span class="soft small">over</span>
      ${["version", "time"].map((name) => html`<button type="button" class="button" key=${name} aria-pressed=${axis === name} onClick=${() => setAxis(name)}>${name === "version" ? "versions" : "seconds evolved"}</button>`)}
    </div>
    <div class="pair">
      <div class="card"><${Chart} title="Held-out accuracy" unit="with its 95 % interval" height=${230} range=${[0, 1]} format=${percent} series=${lines("held_out", true)} why="Neither side has been evaluated." ...${shape} /></div>
      <div class="card"><${Chart} title="Reward" unit="mean of a version's samples" height=${230} format=${number} series=${lines("reward", false)} why="Neither side has learned from anything." ...${shape} /></div>
    </div>
  </section>`;
}

/** Two lists of points on one axis: a value is null where that side has none there. */
function joinedBy(axis, series) {
  const places = { a: new Map(), b: new Map() };
  for (const side of ["a", "b"]) series[side][axis].forEach((x, at) => known(x) && places[side].set(x, at));
  const x = [...new Set([...places.a.keys(), ...places.b.keys()])].sort((one, other) => one - other);
  const of = (side, column) => x.map((at) => (places[side].has(at) ? (series[side][column]?.[places[side].get(at)] ?? null) : null));
  return { x, of };
}
