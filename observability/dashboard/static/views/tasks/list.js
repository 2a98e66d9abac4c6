/** All tasks that filters leave. A value that is clicked filters by itself. */
import { html } from "../../lib/html.js";
import { Badge, Card, Value } from "../../components/bits.js";
import { Table, useNarrow } from "../../components/table.js";
import { Answer, Note } from "../../components/words.js";
import { of } from "../../lib/api.js";
import { clock, count, cut, known, number } from "../../lib/format.js";
import { usePages } from "../../lib/pages.js";
import { go, href } from "../../lib/router.js";
import { oneLine } from "../../lib/visible.js";
import { Filters, filter, filtersOf } from "./filters.js";

const CUT = 160;
export const STATES = { open: "", attempted: "", judged: "good", dead: "bad" };

export function TaskList({ run, at, live, query }) {
  const filters = filtersOf(query);
  const narrow = useNarrow();
  const found = usePages(of(run, "tasks"), { at, ...filters }, "tasks", { live });
  const open = ({ task }) => go(href("tasks", { rest: [task], query: filters }));
  const filtered = Object.values(filters).some(Boolean);
  return html`<${Card} title="Tasks" about=${found.total === null ? "" : amount(found, filtered)} testid="tasks">
    <div class="stack">
      <${Filters} query=${query} facets=${found.data?.facets} />
      ${found.newer && html`<${Note} testid="newer">There are newer tasks. <button type="button" class="button" onClick=${found.reload}>Show them</button><//>`}
      <${Answer} of=${found} what="the tasks">${() =>
        html`<${Table} label="Tasks" testid="task-table" columns=${columnsOf(found.data, found.rows, narrow)} rows=${found.rows} rowKey=${({ task }) => task} total=${found.total}
          onOpen=${open} onEnd=${found.more} height=${640}
          empty=${filtered ? "No task fits all of these filters." : "Nobody has asked a task up to here."} />`}<//>
    </div>
  <//>`;
}

function amount({ total, data }, filtered) {
  const { index } = data;
  const reading = index && !index.ready ? `; ${count(index.done)} of ${count(index.events)} events are read so far` : "";
  return `${count(total)} ${filtered ? "fit the filters" : "in all"}${reading}`;
}

const pick = (name, value, label = value) =>
  known(value) && html`<${Value} title=${`Only ${value}`} testid=${`pick-${name}`} onPick=${() => filter({ [name]: value })}>${label}<//>`;

/** Where all tasks are of one family nobody needs to be told; on a phone, nor how all questions begin. */
function columnsOf({ facets }, rows, narrow) {
  const families = Object.keys(facets?.family ?? {}).length;
  const begin = narrow ? beginning(rows.map(({ question }) => oneLine(question))) : 0;
  const question = ({ question: text }) => html`<bdi>${begin > 0 ? "…" : ""}${cut(oneLine(text).slice(begin), CUT)}</bdi>`;
  return columns.filter(({ name }) => families > 1 || name !== "family").map((column) => (column.name === "question" ? { ...column, cell: question } : column));
}

/** The length of the words with which all of several texts begin. */
function beginning([first, ...others]) {
  if (others.length === 0) return 0;
  let length = first.length;
  for (const other of others) while (!other.startsWith(first.slice(0, length))) length -= 1;
  return first.slice(0, length).lastIndexOf(" ") + 1;
}

const columns = [
  { name: "time", title: "Asked at", width: "90px", wide: true, cell: ({ time }) => html`<span class="soft">${clock(time)}</span>` },
  { name: "version", title: "Version", width: "84px", number: true, wide: true, cell: ({ version }) => pick("version", version) },
  { name: "family", title: "Family", width: "132px", wide: true, cell: ({ family }) => pick("family", family) },
  { name: "level", title: "Level", width: "64px", number: true, cell: ({ level }) => pick("level", level) },
  { name: "question", title: "Question", width: "minmax(120px, 3fr)" },
  { name: "answer", title: "Expected", width: "minmax(76px, 1fr)", cell: ({ answer }) => html`<bdi class="mono">${cut(oneLine(answer), CUT)}</bdi>` },
  { name: "correct", title: "Right", width: "78px", number: true, cell: ({ correct, samples }) => (known(correct) ? `${count(correct)} of ${count(samples)}` : "–") },
  { name: "reward", title: "Reward", width: "86px", number: true, wide: true, cell: ({ reward }) => number(reward) },
  { name: "state", title: "State", width: "104px", wide: true, cell: ({ state }) => pick("state", state, html`<${Badge} kind=${STATES[state]}>${state}<//>`) },
  { name: "sampled", title: "Answered", width: "100px", number: true, wide: true, cell: ({ sampled_by: by }) => (by ?? []).map((version, at) => html`${at > 0 && ", "}${pick("sampled", version)}`) },
  { name: "consumed", title: "Taught", width: "78px", number: true, wide: true, cell: ({ consumed_by: by }) => (known(by) ? pick("consumed", by) : "–") },
];
