/** The log itself: a partition from any offset, a search bounded by time, dead letters, what comes in; one event beside it. */
import { html } from "../../lib/html.js";
import { Card } from "../../components/bits.js";
import { here, href } from "../../lib/router.js";
import { listed } from "./address.js";
import { Browse } from "./browse.js";
import { Coming } from "./coming.js";
import { Dead } from "./dead.js";
import { One } from "./one.js";
import { Search } from "./search.js";

const WAYS = [
  { name: null, title: "Browse", View: Browse },
  { name: "search", title: "Search", View: Search },
  { name: "dead", title: "Dead letters", View: Dead },
  { name: "coming", title: "As they come", View: Coming },
];
export default function Events({ run, at, live, rest, query }) {
  const shown = WAYS.find(({ name }) => name === (query.show ?? null)) ?? WAYS[0];
  const chosen = rest[0] ?? null;
  return html`<div class=${chosen === null ? "stack" : "beside"}>
    <${Card} label="Events" testid="events">
      <div class="stack">
        <nav class="tabs" aria-label="Ways to look at the log">
          ${WAYS.map(({ name, title }) => html`<a key=${title} href=${chosen === null ? here({ ...listed({}), show: name }) : href("events", { rest, query: { show: name } })}
            aria-current=${shown.name === name ? "page" : null} data-testid=${`events-${name ?? "browse"}`}>${title}</a>`)}
        </nav>
        <${shown.View} key=${shown.title} run=${run} at=${at} live=${live} query=${query} chosen=${chosen} />
      </div>
    <//>
    ${chosen !== null && html`<${One} key=${chosen} run=${run} at=${at} name=${chosen} back=${href("events", { query: listed(query) })} />`}
  </div>`;
}
