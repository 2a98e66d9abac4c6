/** Who talks to whom, drawn from what was said; or one task on its way through all of them. */
import { html, useState } from "../../lib/html.js";
import { Badge, Card } from "../../components/bits.js";
import { Answer, Empty } from "../../components/words.js";
import { of, useApi } from "../../lib/api.js";
import { count, cut, known, number, seconds, time } from "../../lib/format.js";
import { go, href } from "../../lib/router.js";
import { oneLine } from "../../lib/visible.js";
import { Graph } from "./graph.js";
import { Interaction } from "./interaction.js";

export default function Agents({ run, at, live, rest }) {
  if (rest.length > 0) return html`<${Interaction} key=${rest[0]} run=${run} at=${at} id=${rest[0]} />`;
  return html`<${All} run=${run} at=${at} live=${live} />`;
}

function All({ run, at, live }) {
  const found = useApi(of(run, "agents"), { at }, { live });
  return html`<${Answer} of=${found} what="the agents">${({ roles, edges }) =>
    edges.length === 0
      ? html`<${Card} title="Who talks to whom" testid="graph"><${Empty}>Nobody has said anything up to here.<//><//>`
      : html`
        <${Card} title="Who talks to whom" about=${at === null ? over(edges) : "up to this position"} testid="graph"><${Graph} roles=${roles} edges=${edges} /><//>
        <${Roles} roles=${roles} at=${at} />
        <${Traffic} edges=${edges} at=${at} />
        <${Follow} run=${run} at=${at} live=${live} />`}<//>`;
}

const over = ([{ window_seconds: window }]) => (known(window) ? `rates over the last ${seconds(window)} of the log` : "");

function Roles({ roles, at }) {
  return html`<${Card} title="The agents" testid="roles"><div class="scroll" tabindex="0" role="group" aria-label="The agents"><table class="plain">
    <thead><tr><th>role</th><th>state</th><th class="number">done</th><th class="number">in flight</th><th class="number">waiting</th>
      <th class="number">latency, median</th><th class="number">95 %</th><th class="number">restarts</th><th>last error</th></tr></thead>
    <tbody>${roles.map((role) => html`<tr key=${role.role}>
      <td><b>${role.role}</b> <span class="soft small">${role.title}</span>${membersOf(role).length > 0 && html`<br /><span class="soft small">${membersOf(role).map(oneLine).join(", ")}</span>`}</td>
      <td><${State} role=${role} at=${at} /></td>
      <td class="number">${count(role.done)}</td><td class="number">${count(role.in_flight)}</td><td class="number">${count(role.backlog)}</td>
      <td class="number" title=${role.latency ? `of the newest ${count(role.latency.of)} answers` : ""}>${seconds(role.latency?.median)}</td>
      <td class="number">${seconds(role.latency?.p95)}</td><td class="number">${count(role.restarts)}</td>
      <td>${role.last_error ? html`<bdi title=${time(role.last_error.at)}>${cut(oneLine(role.last_error.reason ?? role.last_error), 120)}</bdi>` : html`<span class="soft">none</span>`}</td>
    </tr>`)}</tbody></table></div>
    <p class="small soft">Latency: from what an agent answers to its answer. In flight: taken, and not answered yet.</p><//>`;
}

/** Who serves a role, where that says more than its name. */
const membersOf = ({ role, members }) => (members ?? []).filter((name) => name !== role);

export const State = ({ role, at }) => {
  const [kind, words] = stateOf(role, at);
  return html`<${Badge} kind=${kind}>${words}<//>`;
};

export function stateOf({ alive, paused }, at) {
  if (paused) return ["warn", "paused"];
  if (alive === true) return ["good", "alive"];
  if (alive === false) return ["", "not running"];
  return ["", at === null ? "not known" : "not on the log"];
}

function Traffic({ edges, at }) {
  return html`<${Card} title="What they say" testid="traffic"><div class="scroll" tabindex="0" role="group" aria-label="What they say"><table class="plain">
    <thead><tr><th>from</th><th>to</th><th>topic</th><th class="number">events</th><th class="number">a second</th><th class="number">waiting</th><th class="number">oldest waits</th></tr></thead>
    <tbody>${edges.map((edge) => html`<tr key=${`${edge.from}/${edge.to}/${edge.topic}`}>
      <td>${edge.from}</td><td>${edge.to}</td><td><a href=${href("events", { query: { topic: edge.topic } })}>${edge.topic}</a></td>
      <td class="number">${count(edge.count)}</td><td class="number">${number(edge.per_second)}</td><td class="number">${count(edge.backlog)}</td>
      <td class="number">${at === null ? seconds(edge.lag_seconds) : "–"}</td></tr>`)}</tbody></table></div><//>`;
}

const NEWEST = 8;

function Follow({ run, at, live }) {
  const [id, setId] = useState("");
  const found = useApi(of(run, "tasks"), { at, state: "judged", limit: NEWEST }, { live });
  const asked = (event) => {
    event.preventDefault();
    if (id.trim()) go(href("agents", { rest: [id.trim()] }));
  };
  return html`<${Card} title="Follow one task" testid="follow-one">
    <div class="stack">
      <form class="row controls" onSubmit=${asked}>
        <label class="labelled"><span>Id of a task, or of any event about one</span>
          <input class="field wide mono" value=${id} autocomplete="off" spellcheck="false" data-testid="follow-id" onInput=${(event) => setId(event.currentTarget.value)} /></label>
        <button type="submit" class="button at-field">Follow</button>
      </form>
      <${Answer} of=${found} what="the newest tasks">${({ tasks }) => tasks.length === 0
        ? html`<${Empty}>No task was judged up to here.<//>`
        : html`<ul class="stack tight">${tasks.map((task) => html`<li key=${task.task}><a href=${href("agents", { rest: [task.task] })}><bdi>${cut(oneLine(task.question), 90)}</bdi></a>
          <span class="soft small"> level ${task.level}, ${count(task.correct)} of ${count(task.samples)} right, ${time(task.time)}</span></li>`)}</ul>`}<//>
    </div>
  <//>`;
}
