/** Dead letters: what no role could answer, and why. */
import { html } from "../../lib/html.js";
import { Table } from "../../components/table.js";
import { Answer } from "../../components/words.js";
import { of } from "../../lib/api.js";
import { bytes, count, cut, time } from "../../lib/format.js";
import { usePages } from "../../lib/pages.js";
import { oneLine } from "../../lib/visible.js";
import { open } from "./address.js";

export function Dead({ run, at, live, query, chosen }) {
  const found = usePages(of(run, "dead"), { at }, "letters", { live });
  return html`<${Answer} of=${found} what="the dead letters">${() => html`
    ${found.total > 0 && html`<p class="small soft" role="status">${count(found.total)} ${found.total === 1 ? "letter" : "letters"}. <code>evolvent dead --requeue ID</code> sends one round again.</p>`}
    <${Table} label="Dead letters" testid="dead-table" columns=${columns} rows=${found.rows} rowKey=${({ id }) => id} total=${found.total} height=${620}
      onOpen=${(letter) => open(letter, query)} onEnd=${found.more} selected=${({ id }) => id === chosen}
      empty="Every event up to here could be answered: there is no dead letter." />`}<//>`;
}

const columns = [
  { name: "origin", title: "Was", width: "minmax(110px, 0.6fr)", cell: ({ origin }) => html`<span class="mono">${origin}</span>` },
  { name: "group", title: "Could not", width: "90px", cell: ({ group }) => group },
  { name: "reason", title: "Why", width: "minmax(140px, 3fr)", cell: ({ reason }) => html`<bdi title=${cut(oneLine(reason), 600)}>${cut(oneLine(reason), 240)}</bdi>` },
  { name: "time", title: "When", width: "204px", wide: true, cell: ({ time: moment }) => time(moment) },
  { name: "bytes", title: "Size", width: "80px", number: true, wide: true, cell: ({ bytes: size }) => bytes(size) },
];
