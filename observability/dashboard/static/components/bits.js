/** Small parts: badges, copy buttons, filter chips, cards, facts. */
import { html, useEffect, useState } from "../lib/html.js";

/** `kind`: "", "good", "warn" or "bad"; it is said in words too. */
export const Badge = ({ kind = "", testid, title, children }) =>
  html`<span class=${`badge ${kind}`} data-testid=${testid} title=${title}>${children}</span>`;

/** Copies a text; says whether it did. `text` may be a function that makes it. */
export function Copy({ text, label = "Copy", testid = "copy" }) {
  const [said, setSaid] = useState(null);
  useEffect(() => {
    if (said === null) return undefined;
    const timer = setTimeout(() => setSaid(null), 1500);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => setSaid((await copied(typeof text === "function" ? text() : text)) ? "Copied" : "Not copied");
  return html`<button type="button" class="button quiet" data-testid=${testid} onClick=${copy}>
    <span aria-live="polite">${said ?? label}</span>
  </button>`;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text);
  }
}

/** Where a page is not served securely the clipboard takes only what is selected. */
function copiedBySelection(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** The filters in force: `filters` are [{name, value, label}]; `onRemove(name)` takes one away. */
export const Chips = ({ filters, onRemove, onClear }) =>
  filters.length > 0 &&
  html`<div class="chips" role="group" aria-label="Filters in force" data-testid="chips">
    ${filters.map(
      ({ name, value, label = name }) => html`<span class="chip" key=${name} data-testid=${`chip-${name}`}>
        <span title=${String(value)}>${label}: <b>${String(value)}</b></span>
        <button type="button" aria-label=${`Remove the filter ${label}`} onClick=${() => onRemove(name)}>✕</button>
      </span>`,
    )}
    ${onClear && html`<button type="button" class="button quiet" onClick=${onClear}>Clear all</button>`}
  </div>`;

/** A value that filters by itself when it is chosen. */
export const Value = ({ onPick, title, testid, children }) =>
  html`<button
    type="button"
    class="value"
    title=${title}
    data-testid=${testid}
    onClick=${(event) => {
      event.stopPropagation();
      onPick();
    }}
  >${children}</button>`;

/** A box with a heading; `end` stands at the right of it. */
export const Card = ({ title, end, about, testid, label, children }) =>
  html`<section class="card" data-testid=${testid} aria-label=${label ?? title}>
    ${title &&
    html`<header>
      <h2>${title}</h2>
      ${about && html`<span class="soft small">${about}</span>`} ${end && html`<div class="end">${end}</div>`}
    </header>`}
    ${children}
  </section>`;

/** Figures with their names: [{name, value, more}]. */
export const Facts = ({ facts, testid = "facts" }) =>
  html`<dl class="facts" data-testid=${testid}>
    ${facts.map(
      ({ name, value, more }) => html`<div key=${name}>
        <dt>${name}</dt>
        <dd>${value}${more && html` <small>${more}</small>`}</dd>
      </div>`,
    )}
  </dl>`;
