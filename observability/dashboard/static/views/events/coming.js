/** Events as they come in, while the page is at the end of the log. */
import { html, useState } from "../../lib/html.js";
import { Empty } from "../../components/words.js";
import { count } from "../../lib/format.js";
import { useEvents } from "../../lib/stream.js";
import { Rows } from "./rows.js";

const MOST = 1000;

export function Coming({ run, at, query, chosen }) {
  const events = useEvents(run, MOST);
  const [held, setHeld] = useState(null);
  if (at !== null) return html`<${Empty}>The page is at a position of the past, where nothing comes in. Go back to now to see what does.<//>`;
  const shown = held ?? events;
  return html`<div class="row spread">
      <p class="small soft" role="status" data-testid="coming">${count(shown.length)} ${shown.length === MOST ? "newest" : "since this was opened"}, the newest first${held ? `; ${count(events.length - held.length)} more have come` : ""}.</p>
      <button type="button" class="button" aria-pressed=${held !== null} onClick=${() => setHeld(held === null ? events : null)}>${held === null ? "Hold" : "Go on"}</button>
    </div>
    <${Rows} events=${shown} query=${query} chosen=${chosen} testid="coming-table" empty="Nothing has been said since this was opened. It shows here at once." />`;
}
