/** Events as rows of a table. */
import { html } from "../../lib/html.js";
import { Copy } from "../../components/bits.js";
import { Table } from "../../components/table.js";
import { clock, cut, time } from "../../lib/format.js";
import { oneLine } from "../../lib/visible.js";
import { open } from "./address.js";

const CUT = 200;

export const Rows = ({ events, query, chosen, onEnd, total, height = 620, empty, testid = "event-table" }) =>
  html`<${Table} label="Events" testid=${testid} columns=${chosen === null ? columns : columns.filter(({ beside }) => beside)} rows=${events} rowKey=${({ place }) => place} total=${total} height=${height}
    onOpen=${(event) => open(event, query)} onEnd=${onEnd} selected=${({ id, place }) => chosen !== null && (id === chosen || place === chosen)} empty=${empty} />`;

export const CopyAll = ({ events }) =>
  html`<${Copy} label=${`Copy these ${events.length} as JSON`} testid="copy-all" text=${() => JSON.stringify(events, null, 2)} />`;

const columns = [
  { name: "place", title: "Place", width: "minmax(148px, 0.4fr)", beside: true, cell: ({ place }) => html`<span class="mono">${place}</span>` },
  { name: "time", title: "Time", width: "96px", wide: true, beside: true, cell: ({ time: moment }) => html`<span title=${time(moment)}>${clock(moment)}</span>` },
  { name: "agent", title: "Said by", width: "minmax(90px, 0.5fr)", wide: true, cell: ({ agent }) => html`<bdi>${oneLine(agent ?? "–")}</bdi>` },
  { name: "says", title: "What", width: "minmax(130px, 3fr)", beside: true, cell: ({ says, type }) => html`<bdi>${cut(oneLine(says || type || "unreadable"), CUT)}</bdi>` },
  { name: "key", title: "Key", width: "minmax(90px, 0.6fr)", wide: true, cell: ({ key }) => html`<span class="mono small soft">${oneLine(key ?? "–")}</span>` },
];
