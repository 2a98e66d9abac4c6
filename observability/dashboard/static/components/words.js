/** What a view says where it has nothing to draw. */
import { html } from "../lib/html.js";
import { useStore } from "../lib/store.js";
import { problems } from "../lib/stream.js";

/** An empty state, in words: what is missing and why. */
export const Empty = ({ children, testid = "empty" }) =>
  html`<p class="empty" data-testid=${testid}>${children}</p>`;

/** A sentence that a person should see. `kind`: "", "warn" or "bad". */
export const Note = ({ kind = "", testid = "note", children }) =>
  html`<div class=${`note ${kind}`} role=${kind === "bad" ? "alert" : "status"} data-testid=${testid}>${children}</div>`;

export const Loading = ({ what = "this" }) =>
  html`<p class="loading" role="status" data-testid="loading">Reading ${what} …</p>`;

/**
 * What `useApi` found: drawn by `children(data)`; before that, that it is asked; or why it failed. An
 * error after an answer stands above what was known. What is wrong with a whole run the page says once.
 */
export function Answer({ of: found, what, children }) {
  const known = Object.values(useStore(problems)).includes(found.error);
  if (known && found.data === null) return null;
  const wrong = found.error && !known && html`<${Note} kind="bad" testid="error">${found.error}<//>`;
  if (found.data === null) return wrong || html`<${Loading} what=${what} />`;
  return html`${wrong}${children(found.data)}`;
}
