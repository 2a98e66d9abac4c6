/** Whether every role is well. */
import { html } from "../../lib/html.js";
import { ago, count, cut, known, seconds } from "../../lib/format.js";
import { href } from "../../lib/router.js";
import { Badge, Card } from "../../components/bits.js";

const LATE = 30;

export const Roles = ({ roles, now }) =>
  html`<${Card} title="Health of every role" about=${now ? "" : "what was open at this position; the log does not say who was alive"} testid="roles"
    end=${html`<a href=${href("agents")}>Who talks to whom</a>`}>
    <div class="scroll" tabindex="0" role="group" aria-label="Roles">
      <table class="plain">
        <thead><tr><th>role</th><th>state</th><th class="number">backlog</th><th class="number">oldest open</th><th class="number">done</th><th class="number">restarts</th><th class="number">dead letters</th><th>newest event</th><th>last error</th></tr></thead>
        <tbody>${roles.map((role) => html`<${Role} key=${role.role} role=${role} now=${now} running=${roles.some(({ alive }) => alive)} />`)}</tbody>
      </table>
    </div>
  <//>`;

function Role({ role, now, running }) {
  const [kind, word] = health(role, now, running);
  const wrong = role.last_error;
  return html`<tr data-testid=${`role-${role.role}`}>
    <td><b>${role.role}</b>${role.says && html`<br /><span class="soft small">${role.says}</span>`}</td>
    <td>${kind === null ? html`<span class="soft">${word}</span>` : html`<${Badge} kind=${kind}>${word}<//>`}${role.members?.length > 1 && html` <span class="soft small">${role.members.length} members</span>`}</td>
    <td class="number">${count(role.backlog)}</td>
    <td class="number ${known(role.lag_seconds) && role.lag_seconds > LATE ? "warn" : ""}">${seconds(role.lag_seconds)}</td>
    <td class="number">${count(role.done)}</td>
    <td class="number ${role.restarts > 0 ? "warn" : ""}">${count(role.restarts)}</td>
    <td class="number ${role.dead_letters > 0 ? "bad" : ""}">${role.dead_letters > 0 ? html`<a href=${href("events", { query: { dead: 1 } })}>${count(role.dead_letters)}</a>` : count(role.dead_letters)}</td>
    <td>${role.last_event_at ? (now ? ago(role.last_event_at) : "") : "–"}</td>
    <td>${wrong ? html`<span title=${wrong.reason}>${cut(wrong.reason, 70)}</span> <span class="soft small">${count(wrong.times)} times, last ${ago(wrong.at)}</span>` : html`<span class="soft">none known</span>`}</td>
  </tr>`;
}

/** A role that is away is a fault where others go on without it. */
function health({ alive, paused, stopped }, now, running) {
  if (stopped) return ["", "stopped"];
  if (paused) return ["warn", "paused"];
  if (alive === true) return ["good", "alive"];
  if (alive === false) return running ? ["bad", "away"] : ["", "not running"];
  return [null, now ? "not known" : "–"];
}
