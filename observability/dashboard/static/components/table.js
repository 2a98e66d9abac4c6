/** A table of any length: only the rows in sight are in the page; keys move through it. */
import { html, useEffect, useLayoutEffect, useRef, useState } from "../lib/html.js";
import { Empty } from "./words.js";

const ROW = 30;
const BEYOND = 8;

const narrow = window.matchMedia("(max-width: 640px)");

/** Whether the page is as narrow as a phone. */
export function useNarrow() {
  const [is, setIs] = useState(narrow.matches);
  useEffect(() => {
    const look = () => setIs(narrow.matches);
    narrow.addEventListener("change", look);
    return () => narrow.removeEventListener("change", look);
  }, []);
  return is;
}

/**
 * `columns`: [{name, title, width = "minmax(90px, 1fr)", number, wide, cell(row)}]; those that are `wide` are left out
 * on a phone. `onOpen(row)` makes rows open by click and Enter; `onEnd()` is called near the last row;
 * `total`: how many there are, where not all are in `rows`; `rows: []` is said by `empty`.
 */
export function Table({ label, columns, rows, rowKey, total, onOpen, onEnd, selected, height = 420, empty = "There is nothing here.", testid = "table" }) {
  const [top, setTop] = useState(0);
  const [active, setActive] = useState(-1);
  const box = useRef(null);
  const isNarrow = useNarrow();
  const shown = columns.filter((column) => !(isNarrow && column.wide));
  const room = Math.min(height, (rows.length + 1) * ROW + 18);
  const first = Math.max(0, Math.floor(top / ROW) - BEYOND);
  const end = Math.min(rows.length, Math.ceil((top + height) / ROW) + BEYOND);

  useLayoutEffect(() => {
    const tracks = shown.map(track);
    box.current?.style.setProperty("--columns", tracks.join(" "));
    box.current?.style.setProperty("--least", `${tracks.reduce((sum, one) => sum + parseInt(one.match(/\d+(?=px)/), 10), 0)}px`);
  });
  useEffect(() => {
    if (onEnd && end >= rows.length - BEYOND && rows.length < (total ?? Infinity)) onEnd();
  }, [end, rows.length, total]);

  if (rows.length === 0) return html`<${Empty}>${empty}<//>`;

  const reveal = (at) => {
    setActive(at);
    const view = box.current;
    const low = at * ROW;
    if (low < view.scrollTop) view.scrollTop = low;
    else if (low + 2 * ROW > view.scrollTop + view.clientHeight) view.scrollTop = low + 2 * ROW - view.clientHeight;
  };
  const pressed = (event) => {
    if (event.target !== box.current) return;
    const at = moved(event.key, active, rows.length, Math.floor(height / ROW) - 2);
    if (at !== null) reveal(at);
    else if (event.key === "Enter" && onOpen && rows[active]) onOpen(rows[active]);
    else return;
    event.preventDefault();
  };
  const id = (at) => `${testid}-row-${at}`;

  return html`<div
    class="table"
    ref=${box}
    role="grid"
    tabindex="0"
    aria-label=${label}
    aria-rowcount=${(total ?? rows.length) + 1}
    aria-activedescendant=${active >= first && active < end ? id(active) : null}
    data-testid=${testid}
    style=${{ maxHeight: `${room}px` }}
    onScroll=${(event) => setTop(event.currentTarget.scrollTop)}
    onKeyDown=${pressed}
  >
    <div role="rowgroup" class="table-top">
      <div class="table-head" role="row" aria-rowindex="1">
        ${shown.map((column) => html`<div class=${`cell ${column.number ? "number" : ""}`} role="columnheader" key=${column.name}>${column.title}</div>`)}
      </div>
    </div>
    <div class="table-body" role="rowgroup" style=${{ height: `${rows.length * ROW}px` }}>
      ${rows.slice(first, end).map((row, offset) => {
        const at = first + offset;
        return html`<${Row} key=${rowKey(row)} id=${id(at)} at=${at} row=${row} columns=${shown} active=${at === active}
          selected=${selected?.(row)} onOpen=${onOpen} onPick=${() => setActive(at)} />`;
      })}
    </div>
  </div>`;
}

/** The width of a column: at least so many pixels, so that the heads stand above their cells. */
const track = ({ width = "1fr" }) => (width.includes("px") ? width : `minmax(90px, ${width})`);

function Row({ id, at, row, columns, active, selected, onOpen, onPick }) {
  const opened = () => {
    onPick();
    onOpen?.(row);
  };
  return html`<div
    id=${id}
    role="row"
    class=${`table-row ${onOpen ? "opens" : ""} ${active ? "active" : ""}`}
    aria-rowindex=${at + 2}
    aria-selected=${onOpen ? Boolean(selected) : null}
    style=${{ top: `${at * ROW}px` }}
    onClick=${opened}
  >
    ${columns.map((column) => html`<div class=${`cell ${column.number ? "number" : ""}`} role="gridcell" key=${column.name}>${column.cell(row)}</div>`)}
  </div>`;
}

function moved(key, active, length, page) {
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
  if (key === "Home") return 0;
  if (key === "End") return length - 1;
  if (!(key in steps)) return null;
  return Math.min(length - 1, Math.max(0, active + steps[key]));
}
