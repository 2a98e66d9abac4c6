/** The judgments that taught a version; each leads to its task. */
import { html } from "../../lib/html.js";
import { of } from "../../lib/api.js";
import { count, number } from "../../lib/format.js";
import { usePages } from "../../lib/pages.js";
import { go, href } from "../../lib/router.js";
import { Badge, Card } from "../../components/bits.js";
import { Table } from "../../components/table.js";
import { Answer } from "../../components/words.js";

export function Judgments({ run, version, consumed }) {
  const found = usePages(of(run, "versions", version, "judgments"), {}, "judgments");
  const places = Object.entries(consumed?.places ?? {}).map(([name, ranges]) => `${name}: ${ranges.map(([first, end]) => `${first}–${end}`).join(", ")}`);
  return html`<${Card} title="The judgments that taught it" about=${places.length > 0 ? `${count(found.total)} · ${places.join(" · ")}` : ""} testid="judgments">
    <${Answer} of=${found} what="its judgments">${() => html`<${Table}
      label="Judgments" testid="judgments-table" height=${380} rows=${found.rows} total=${found.total} rowKey=${(row) => row.judgment} onEnd=${found.more}
      onOpen=${(row) => go(href("tasks", { run, rest: [row.task] }))} columns=${columns(run)} empty="No judgment taught it." />`}<//>
  <//>`;
}

const columns = (run) => [
  { name: "question", title: "asked", width: "minmax(160px, 5fr)", cell: (row) => html`<a href=${href("tasks", { run, rest: [row.task] })}>${row.question ?? row.task}</a>` },
  { name: "level", title: "level", number: true, width: "minmax(60px, 0.5fr)", cell: (row) => row.level },
  { name: "family", title: "family", wide: true, cell: (row) => row.family },
  { name: "right", title: "right", number: true, width: "minmax(80px, 0.6fr)", cell: (row) => `${count(row.correct)} of ${count(row.samples)}` },
  { name: "reward", title: "reward", number: true, wide: true, width: "minmax(86px, 0.6fr)", cell: (row) => number(row.reward) },
  { name: "sampled", title: "sampled by", number: true, wide: true, cell: (row) => (row.sampled_by ?? []).join(", ") },
  { name: "granted", title: "granted by", number: true, wide: true, cell: (row) => row.granted_by },
  { name: "critic", title: "judge", wide: true, cell: (row) => row.critic },
  { name: "learned", title: "learned", width: "minmax(110px, 1fr)", wide: true, cell: (row) => html`<${Learned} row=${row} />` },
];

function Learned({ row }) {
  if (row.learned === true) return html`<${Badge} kind="good">learned<//>`;
  if (row.learned === false) return html`<${Badge} kind="warn" title=${row.reason}>${row.reason || "left out"}<//>`;
  return html`<span class="soft">not known</span>`;
}
