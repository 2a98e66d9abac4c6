/** What a model or a person said: text and nothing else, however long or odd. */
import { html, useState } from "../lib/html.js";
import { count } from "../lib/format.js";
import { visible } from "../lib/visible.js";

const MOST = 1200;

/** A text of any length in a box of its own; `none` is said where it is empty. */
export function Said({ text, none = "nothing", most = MOST, testid }) {
  const [whole, setWhole] = useState(false);
  if (text === null || text === undefined || text === "") return html`<p class="soft small" data-testid=${testid}>${none}</p>`;
  const long = text.length > most;
  const shown = long && !whole ? text.slice(0, most) : text;
  return html`<div class="said">
    <pre class="said-text" dir="auto" tabindex=${tall(shown) ? 0 : null} data-testid=${testid}>${visible(shown)}${long && !whole ? "…" : ""}</pre>
    ${long && html`<button type="button" class="button quiet small" aria-expanded=${whole} onClick=${() => setWhole(!whole)}>
      ${whole ? "Show less" : `Show all ${count(text.length)} characters`}</button>`}
  </div>`;
}

/** Whether a text may have to be scrolled, for which the keyboard must reach it. */
const tall = (text) => text.length > 600 || text.split("\n").length > 15;

/** Data as JSON, folded until somebody asks. */
export const Json = ({ title, data, testid }) =>
  html`<details class="json" data-testid=${testid}>
    <summary>${title}</summary>
    <pre class="said-text" dir="ltr" tabindex="0">${visible(JSON.stringify(data, null, 2))}</pre>
  </details>`;
