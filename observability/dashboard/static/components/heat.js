/** Shares as a table of colours; every cell has its figure. And bars, with theirs. */
import { html } from "../lib/html.js";
import { count, known, percent } from "../lib/format.js";

const SHADES = 8;
/** The class of a share from 0 to 1. */
export const shade = (share) => `h${Math.round(Math.min(1, Math.max(0, share)) * SHADES)}`;

/** `rows`: [{name, values}]; `columns`: what stands above each value. */
export function Heat({ label, rows, columns, corner = "", testid }) {
  return html`<div class="heat" tabindex="0" role="group" aria-label=${label} data-testid=${testid}>
    <table>
      <caption class="hidden">${label}</caption>
      <thead>
        <tr><th scope="col">${corner}</th>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr>
      </thead>
      <tbody>
        ${rows.map((row) => html`<tr key=${row.name}>
          <th scope="row">${row.name}</th>
          ${row.values.map((value) => (known(value) ? html`<td class=${shade(value)}>${Math.round(100 * value)}</td>` : html`<td class="none">·</td>`))}
        </tr>`)}
      </tbody>
    </table>
  </div>`;
}

/** `bars`: [{name, value}], each as long as its share of the greatest. */
export function Bars({ label, bars, format = count, testid }) {
  const most = Math.max(...bars.map(({ value }) => value), 0) || 1;
  return html`<div class="bars" role="list" aria-label=${label} data-testid=${testid}>
    ${bars.map(({ name, value }) => html`<div role="listitem" class="bar-item" key=${name}>
      <span class="soft">${name}</span>
      <span><span class="bar" style=${{ width: percent(value / most).replace(" ", "") }}></span></span>
      <span class="right">${format(value)}</span>
    </div>`)}
  </div>`;
}
