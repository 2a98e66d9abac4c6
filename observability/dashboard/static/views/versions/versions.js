/** Every version of a run; one of them at /versions/N. */
import { html, useState } from "../../lib/html.js";
import { of } from "../../lib/api.js";
import { clock, count, interval, number, percent, time } from "../../lib/format.js";
import { usePages } from "../../lib/pages.js";
import { go, here, href } from "../../lib/router.js";
import { Badge, Card } from "../../components/bits.js";
import { Table, useNarrow } from "../../components/table.js";
import { Answer, Note } from "../../components/words.js";
import { Version } from "./version.js";

export default function Versions({ run, at, live, rest, query }) {
  if (rest.length > 0) return html`<${Version} key=${rest[0]} run=${run} at=${at} live=${live} number=${rest[0]} />`;
  return html`<${List} run=${run} at=${at} live=${live} order=${query.order ?? "newest"} />`;
}

/** A decision as a badge: what was promoted is good, what was refused or rolled back is not. */
export const Decision = ({ said }) => said && html`<${Badge} kind=${said === "promoted" ? "good" : "bad"}>${said.replace("_", " ")}<//>`;

function List({ run, at, live, order }) {
  const found = usePages(of(run, "versions"), { at, order }, "versions", { live });
  const narrow = useNarrow();
  const turned = order === "newest" ? "oldest" : "newest";
  return html`<${Card} title="Versions" about=${found.total === null ? "" : count(found.total)} testid="versions" end=${html`
      <${Open} run=${run} />
      <button type="button" class="button" data-testid="versions-order" onClick=${() => go(here({ order: turned === "newest" ? null : turned }))}>${order} first</button>`}>
    <${Answer} of=${found} what="the versions">${() => html`
      ${found.newer && html`<${Note} testid="newer">Newer versions are there. <button type="button" class="button" onClick=${found.reload}>Show them</button><//>`}
      <${Table} key=${order} label="Versions" testid="versions-table" height=${640} rows=${found.rows} total=${found.total} rowKey=${(row) => row.version} onEnd=${found.more}
        onOpen=${(row) => go(href("versions", { run, rest: [row.version] }))} columns=${columns(run, narrow)} empty="No version has been published yet." />
    `}<//>
  <//>`;
}

const columns = (run, narrow) => [
  { name: "version", title: "version", number: true, width: narrow ? "minmax(66px, 0.6fr)" : "minmax(84px, 0.6fr)", cell: (row) => html`<a href=${href("versions", { run, rest: [row.version] })}><b>${count(row.version)}</b></a>` },
  { name: "held_out", title: "held out", number: true, width: "minmax(80px, 1fr)", cell: (row) => percent(row.held_out) },
  { name: "interval", title: "95 % interval", number: true, width: "minmax(120px, 1fr)", wide: true, cell: (row) => interval(row.held_out_interval) },
  { name: "reward", title: "reward", number: true, width: "minmax(70px, 1fr)", cell: (row) => number(row.reward) },
  { name: "trained", title: "learned from", number: true, width: "minmax(116px, 1fr)", wide: true, cell: (row) => count(row.trained) },
  { name: "dropped", title: "dropped", number: true, wide: true, cell: (row) => count(row.dropped) },
  { name: "samples", title: "samples", number: true, wide: true, cell: (row) => count(row.samples) },
  { name: "stale", title: "staleness", number: true, wide: true, cell: (row) => number(row.staleness_mean) },
  { name: "parent", title: "parent", number: true, wide: true, cell: (row) => (row.parent === null ? "–" : count(row.parent)) },
  { name: "policy", title: "policy", wide: true, cell: (row) => row.policy },
  { name: "time", title: "published", width: narrow ? "minmax(80px, 1fr)" : "minmax(196px, 1.2fr)", cell: (row) => (narrow ? clock(row.time) : time(row.time)) },
  { name: "decision", title: "decision", width: "minmax(124px, 1fr)", wide: true, cell: (row) => html`<${Decision} said=${row.decision} />` },
];

function Open({ run }) {
  const [text, setText] = useState("");
  const opened = (event) => {
    event.preventDefault();
    if (text.trim()) go(href("versions", { run, rest: [text.trim()] }));
  };
  return html`<form class="row" onSubmit=${opened}>
    <label class="hidden" for="open-version">Number of a version</label>
    <input id="open-version" class="field short" inputmode="numeric" placeholder="number" value=${text} data-testid="open-version" onInput=${(event) => setText(event.currentTarget.value)} />
    <button type="submit" class="button">Open</button>
  </form>`;
}
