/** Held-out accuracy: its curve with the interval, and every level of every suite. */
import { html, useMemo, useRef } from "../../lib/html.js";
import { count, known, percent } from "../../lib/format.js";
import { Card } from "../../components/bits.js";
import { Chart } from "../../components/chart.js";
import { Heat } from "../../components/heat.js";
import { Empty } from "../../components/words.js";
import { useWidth } from "../../lib/size.js";
import { travel } from "../../lib/travel.js";

const COLUMN = 41;
const NAMES = 74;

export function HeldOut({ series }) {
  const { version, columns, levels } = series;
  const rows = useMemo(() => version.map((_, at) => at).filter((at) => known(columns.held_out[at]) || known(columns.seen[at])), [series]);
  const of = (name) => rows.map((at) => columns[name][at]);
  return html`<div class="pair">
    <${Card} testid="held-out-curve" label="Held-out accuracy">
      <${Chart} title="Held-out accuracy" unit="with its 95 % interval" x=${rows.map((at) => version[at])} height=${250} range=${[0, 1]}
        format=${percent} onPick=${(at) => travel(String(at))}
        why="No version has been evaluated yet: the evaluator answers some versions, not all."
        series=${[
          { name: "held out", values: of("held_out"), low: of("held_out_low"), high: of("held_out_high") },
          { name: "seen levels", values: of("seen"), line: "dash", colour: 2 },
        ]} />
    <//>
    <${Card} title="Accuracy by level" about="% of its problems solved, per evaluated version" testid="held-out-levels">
      <${Levels} levels=${levels} version=${version} name="held_out" average=${false} why="No version has been evaluated yet." />
    <//>
  </div>`;
}

/** The levels as a heat map over versions, as many columns as fit; `average`: over the versions of each. */
export function Levels({ levels, version, name, average, why }) {
  const names = Object.keys(levels).filter((level) => levels[level][name]?.some(known)).sort(byLevel);
  const box = useRef(null);
  const most = Math.max(4, Math.floor((useWidth(box, 600) - NAMES) / COLUMN));
  const bins = useMemo(() => binned(levels, names, version, name, average, most), [levels, version, most]);
  if (names.length === 0) return html`<div ref=${box}><${Empty}>${why}<//></div>`;
  const suites = new Set(names.map((level) => split(level)[0]));
  const title = (level) => {
    const [suite, number] = split(level);
    const short = suites.size > 1 ? `${suite} ${number}` : number;
    return levels[level].is_held_out === false && name === "held_out" ? `${short} seen` : short;
  };
  return html`<div ref=${box}><${Heat}
    label=${`${average ? "Success in training" : "Accuracy"} by level and version${suites.size === 1 ? ` of ${[...suites][0]}` : ""}`}
    corner="level"
    columns=${bins.map((bin) => count(version[bin[bin.length - 1]]))}
    rows=${names.map((level) => ({ name: title(level), values: bins.map((bin) => mean(bin.map((at) => levels[level][name][at]), average)) }))}
  /></div>`;
}

function binned(levels, names, version, name, average, most) {
  const there = version.map((_, at) => at).filter((at) => names.some((level) => known(levels[level][name][at])));
  if (there.length <= most) return there.map((at) => [at]);
  const bins = Array.from({ length: most }, (_, place) => there.slice(Math.floor((place * there.length) / most), Math.floor(((place + 1) * there.length) / most)));
  return average ? bins : bins.map((bin) => bin.slice(-1));
}

function mean(values, average) {
  const there = values.filter(known);
  if (there.length === 0) return null;
  return average ? there.reduce((sum, value) => sum + value, 0) / there.length : there[there.length - 1];
}

const split = (level) => {
  const cut = level.lastIndexOf("/");
  return [level.slice(0, cut), level.slice(cut + 1)];
};
const byLevel = (a, b) => split(a)[0].localeCompare(split(b)[0]) || Number(split(a)[1]) - Number(split(b)[1]);
