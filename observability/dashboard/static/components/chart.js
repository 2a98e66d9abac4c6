/** Curves, drawn by uPlot; their figures stand beside them as a sentence and as a table. */
import uPlot from "../vendor/uplot/uPlot.esm.js";
import { html, useEffect, useMemo, useRef, useState } from "../lib/html.js";
import { count, known, number } from "../lib/format.js";
import { useStore } from "../lib/store.js";
import { colour, font, theme } from "../lib/theme.js";
import { Empty } from "./words.js";

const DASHES = { dash: [6, 4], dot: [2, 3] };
const SHOWN_ROWS = 200;
const FEW = 24;

/**
 * `x`: numbers; `series`: [{name, values, colour = 1..8, line = "" | "dash" | "dot", low, high}],
 * `low` and `high` being the band around it. `unit` is part of the title; `format` writes a value.
 * `range`: [low, high] of the axis, null where the figures decide. `onPick(x)`: a click on the chart.
 * Without any figure the chart says `why`.
 */
export function Chart({ title, unit, x, series, xName = "version", format = number, xFormat = count, range = [null, null], height = 170, onPick, why, testid }) {
  const shown = useMemo(() => series.filter((one) => one.values?.some(known)), [series]);
  const [at, setAt] = useState(null);
  const [asTable, setAsTable] = useState(false);
  const said = shown.length > 0 ? summary(x, shown, xName, format, xFormat) : "";
  return html`<figure class="chart" data-testid=${testid} aria-label=${title}>
    <div class="chart-head">
      <h3>${title}${unit && html` <span class="soft small">${unit}</span>`}</h3>
      ${shown.length > 0 && html`<button type="button" class="button quiet small" aria-pressed=${asTable} onClick=${() => setAsTable(!asTable)}>${asTable ? "Chart" : "Table"}</button>`}
    </div>
    ${shown.length === 0
      ? html`<${Empty}>${why ?? "The log has no figures for this."}<//>`
      : html`<figcaption class="hidden">${said}</figcaption>
          ${asTable
            ? html`<${Figures} x=${x} series=${shown} xName=${xName} format=${format} xFormat=${xFormat} height=${height} />`
            : html`<${Plot} x=${x} series=${shown} format=${format} xFormat=${xFormat} range=${range} height=${height} onPick=${onPick} onAt=${setAt} label=${`${title}. ${said}`} />
                <${Legend} x=${x} series=${shown} at=${at} format=${format} xFormat=${xFormat} xName=${xName} />`}`}
  </figure>`;
}

/** What a chart shows, in a sentence. */
function summary(x, series, xName, format, xFormat) {
  return series
    .map(({ name, values }) => {
      const there = values.map((value, at) => [x[at], value]).filter(([, value]) => known(value));
      const [first, last] = [there[0], there[there.length - 1]];
      const high = there.reduce((best, one) => (one[1] > best[1] ? one : best));
      return `${name}: ${format(first[1])} at ${xName} ${xFormat(first[0])}, ${format(last[1])} at ${xName} ${xFormat(last[0])}, at most ${format(high[1])} at ${xName} ${xFormat(high[0])}.`;
    })
    .join(" ");
}

function Legend({ x, series, at, format, xFormat, xName }) {
  const place = at ?? x.length - 1;
  const value = (values) => format(at === null ? lastKnown(values) : values[place]);
  return html`<div class="legend">
    <span>${at === null ? "newest" : `${xName} ${xFormat(x[place])}`}</span>
    ${series.map(
      (one, order) => html`<span class="legend-key" key=${one.name}>
        <i class=${`key ${one.line ?? ""} k${one.colour ?? order + 1}`}></i>${one.name} <b>${value(one.values)}</b>
        ${one.low && at !== null && known(one.low[place]) && html`<span>(${format(one.low[place])}–${format(one.high[place])})</span>`}
      </span>`,
    )}
  </div>`;
}

const lastKnown = (values) => values.findLast(known);

function Figures({ x, series, xName, format, xFormat, height }) {
  const rows = x.map((_, at) => at).filter((at) => series.some(({ values }) => known(values[at])));
  const newest = rows.slice(-SHOWN_ROWS).reverse();
  return html`<div class="scroll" tabindex="0" role="group" aria-label="The figures" style=${{ maxHeight: `${height + 20}px` }}>
    <table class="plain small">
      <thead><tr><th class="number">${xName}</th>${series.map(({ name }) => html`<th class="number">${name}</th>`)}</tr></thead>
      <tbody>
        ${newest.map((at) => html`<tr key=${at}><td class="number">${xFormat(x[at])}</td>${series.map(({ values }) => html`<td class="number">${format(values[at])}</td>`)}</tr>`)}
      </tbody>
    </table>
    ${rows.length > newest.length && html`<p class="soft small">The newest ${count(newest.length)} of ${count(rows.length)}.</p>`}
  </div>`;
}

/** The canvas. Arrow keys move along it, Enter picks. */
function Plot({ x, series, format, xFormat, range, height, onPick, onAt, label }) {
  const box = useRef(null);
  const plot = useRef(null);
  const live = useRef({});
  const worn = useStore(theme);
  live.current = { x, onPick, onAt };
  const shape = series.map((one) => [one.name, one.colour, one.line, Boolean(one.low), few(one.values)].join()).join(";");

  useEffect(() => {
    const made = new uPlot(options({ series, format, xFormat, range, height, live, width: box.current.clientWidth }), columns(x, series), box.current);
    plot.current = made;
    const watcher = new ResizeObserver(([entry]) => made.setSize({ width: Math.floor(entry.contentRect.width), height }));
    watcher.observe(box.current);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, worn, height, range.join()]);

  useEffect(() => plot.current?.setData(columns(x, series)), [x, series]);

  const pressed = (event) => {
    const made = plot.current;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      const at = Math.min(x.length - 1, Math.max(0, (made.cursor.idx ?? (step < 0 ? x.length : -1)) + step));
      made.setCursor({ left: made.valToPos(x[at], "x"), top: 10 });
    } else if (event.key === "Enter" && onPick && known(made.cursor.idx)) {
      onPick(x[made.cursor.idx]);
    } else return;
    event.preventDefault();
  };
  return html`<div class="chart-plot" ref=${box} tabindex="0" role="img" aria-label=${label} onKeyDown=${pressed}></div>`;
}

/** Few figures are drawn as points too: a single one would be no line. */
const few = (values) => values.filter(known).length <= FEW;

/** A band is two more columns around its series. */
const columns = (x, series) => [
  x,
  ...series.flatMap(({ values, low, high }) => [values, ...(low ? [high, low] : [])]).map((values) => values.map((value) => value ?? null)),
];

function options({ series, format, xFormat, range, height, live, width }) {
  const lines = [];
  const bands = [];
  series.forEach((one, order) => {
    const name = `c${one.colour ?? order + 1}`;
    const stroke = colour(name);
    lines.push({
      label: one.name, stroke, width: 1.6, dash: DASHES[one.line], spanGaps: true,
      points: { show: few(one.values), size: 5, fill: stroke },
    });
    if (!one.low) return;
    bands.push({ series: [lines.length + 1, lines.length + 2], fill: colour(name, 0.16) });
    lines.push(...["high", "low"].map(() => ({ stroke: "transparent", width: 0, spanGaps: true, points: { show: false } })));
  });
  const axis = { stroke: colour("soft"), font: font(11), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 4 }, gap: 4 };
  return {
    width, height,
    legend: { show: false },
    padding: [8, 24, 0, 0],
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { x: { time: false, range: (made, least, most) => (made.data[0].length === 1 ? [least - 1, least + 1] : [least, most]) }, y: { range: spread(range) } },
    axes: [
      { ...axis, size: 26, space: 60, values: (_, splits) => splits.map((at) => (Number.isInteger(at) || xFormat !== count ? xFormat(at) : "")) },
      { ...axis, size: 56, space: 32, values: (_, splits) => splits.map((at) => (Number.isInteger(at) || format !== count ? format(at) : "")) },
    ],
    series: [{}, ...lines],
    bands,
    hooks: {
      setCursor: [(made) => live.current.onAt(made.cursor.idx ?? null)],
      ready: [(made) => made.over.addEventListener("click", () => known(made.cursor.idx) && live.current.onPick?.(live.current.x[made.cursor.idx]))],
    },
  };
}

/** The axis: as said, else a little more than the figures need; never of no height. */
const spread = ([low, high]) => (_, least, most) => {
  const bottom = low ?? least ?? 0;
  const top = high ?? most ?? 1;
  const room = (top - bottom || Math.abs(top) || 1) * 0.06;
  return [low ?? bottom - room, high ?? (top === low ? low + 1 : top + room)];
};
