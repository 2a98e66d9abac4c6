/** One version: where it comes from, what taught it, what it can do, what came of it. */
import { html } from "../../lib/html.js";
import { of, useApi } from "../../lib/api.js";
import { count, interval, known, number, percent, points, seconds, time } from "../../lib/format.js";
import { href } from "../../lib/router.js";
import { travel } from "../../lib/travel.js";
import { Card, Copy, Facts } from "../../components/bits.js";
import { shade } from "../../components/heat.js";
import { Answer, Empty } from "../../components/words.js";
import { Ancestry } from "./ancestry.js";
import { Judgments } from "./judgments.js";
import { Decision } from "./versions.js";

export function Version({ run, at, live, number: name }) {
  const found = useApi(of(run, "versions", name), { at }, { live });
  return html`
    <p><a href=${href("versions", { run })} data-testid="all-versions">‹ All versions</a></p>
    <${Answer} of=${found} what=${`version ${name}`}>${(version) => html`
      <${Standing} run=${run} version=${version} />
      <${Ancestry} run=${run} version=${version} />
      <div class="pair">
        <${Evaluation} version=${version} />
        <${Batch} run=${run} version=${version} />
      </div>
      <${Judgments} run=${run} version=${version.version} consumed=${version.consumed} />
      <div class="pair">
        <${Metrics} metrics=${version.metrics} />
        <${Files} version=${version} />
      </div>
    `}<//>
  `;
}

function Standing({ run, version }) {
  const { version: name, parent } = version;
  const facts = [
    { name: "held-out accuracy", value: percent(version.held_out), more: version.held_out_interval ? `95 %: ${interval(version.held_out_interval)}` : "not evaluated" },
    known(version.seen) && { name: "seen levels", value: percent(version.seen) },
    { name: "learned from", value: count(version.trained), more: `groups; ${count(version.dropped)} dropped` },
    { name: "samples", value: count(version.samples), more: `${count(version.tokens)} tokens` },
    { name: "reward", value: number(version.reward), more: known(version.success) && `${percent(version.success)} right` },
    { name: "staleness", value: number(version.staleness_mean), more: "versions, mean" },
    { name: "took", value: seconds(version.seconds), more: `policy ${version.policy}` },
  ];
  return html`<${Card} title=${`Version ${count(name)}`} about=${`published ${time(version.time)} by ${version.agent}`} testid="version"
    end=${html`
      <${Decision} said=${version.decision} />
      ${parent !== null && html`<a class="button" href=${`/compare${`?a=${encodeURIComponent(`${run}@${parent}`)}&b=${encodeURIComponent(`${run}@${name}`)}`}`}>Compare with ${count(parent)}</a>`}
      <button type="button" class="button" data-testid="travel" onClick=${() => travel(String(name))}>All views at this version</button>`}>
    <${Facts} facts=${facts.filter(Boolean)} />
    ${version.decisions?.map((one) => html`<p key=${one.id} class="decision"><${Decision} said=${one.decision} /> ${time(one.time)}${one.reasons?.length > 0 && `: ${one.reasons.join("; ")}`}</p>`)}
  <//>`;
}

function Evaluation({ version }) {
  const { evaluation } = version;
  return html`<${Card} title="Evaluation" about=${evaluation ? `${time(evaluation.time)}, ${seconds(evaluation.seconds)}` : ""} testid="evaluation">
    ${evaluation
      ? html`<div class="scroll" tabindex="0" role="group" aria-label="Scores"><table class="plain">
          <thead><tr><th>suite</th><th class="number">level</th><th class="number">accuracy, %</th><th class="number">right</th><th class="number">95 % interval</th><th></th></tr></thead>
          <tbody>${evaluation.scores.map((score) => html`<tr key=${`${score.suite}/${score.level}`}>
            <td>${score.suite}</td><td class="number">${score.level}</td>
            <td class=${`number share ${shade(score.accuracy)}`}>${points(score.accuracy)}</td>
            <td class="number">${count(score.correct)} of ${count(score.total)}</td>
            <td class="number">${interval([score.low, score.high])}</td>
            <td class="soft">${score.is_held_out ? "" : "seen"}</td>
          </tr>`)}</tbody>
        </table></div>`
      : html`<${Empty}>The evaluator did not ask this version; it answers some of them.<//>`}
  <//>`;
}

function Batch({ run, version }) {
  const asked = { run, query: { consumed: version.version } };
  return html`<${Card} title="What it learned from" about="by family and level" testid="batch" end=${html`<a href=${href("tasks", asked)}>Its tasks</a>`}>
    ${version.batch?.length > 0
      ? html`<div class="scroll" tabindex="0" role="group" aria-label="Its batch"><table class="plain">
          <thead><tr><th>family</th><th class="number">level</th><th class="number">tasks</th><th class="number">samples</th><th class="number">right, %</th></tr></thead>
          <tbody>${version.batch.map((one) => html`<tr key=${`${one.family}/${one.level}`}>
            <td>${one.family}</td><td class="number">${one.level}</td><td class="number">${count(one.tasks)}</td><td class="number">${count(one.samples)}</td>
            <td class=${`number share ${shade(one.correct / Math.max(1, one.samples))}`}>${points(one.correct / Math.max(1, one.samples))}</td>
          </tr>`)}</tbody>
        </table></div>`
      : html`<${Empty}>It learned from nothing: the first version of a run is made, not taught.<//>`}
    <p class="after">Afterwards it granted <a href=${href("tasks", { run, query: { version: version.version } })}>${count(version.granted?.tasks)} tasks</a> and
      sampled <a href=${href("tasks", { run, query: { sampled: version.version } })}>these attempts</a>.</p>
  <//>`;
}

const Metrics = ({ metrics }) => html`<${Card} title="Metrics of the trainer" testid="metrics">
  ${Object.keys(metrics ?? {}).length > 0
    ? html`<table class="plain">
        <tbody>${Object.entries(metrics).sort(([a], [b]) => a.localeCompare(b)).map(([name, value]) => html`<tr key=${name}><th scope="row">${name}</th><td class="number">${number(value)}</td></tr>`)}</tbody>
      </table>`
    : html`<${Empty}>The trainer measured nothing for this version.<//>`}
<//>`;

const Files = ({ version }) => html`<${Card} title="Where it lies" testid="files" end=${html`<${Copy} text=${version.id} label="Copy its event's id" />`}>
  <table class="plain">
    <tbody>
      <tr><th scope="row">event</th><td class="mono breaks">${version.id}</td></tr>
      <tr><th scope="row">on the log</th><td class="mono">${version.place}</td></tr>
      <tr><th scope="row">weights</th><td class="mono breaks">${version.location}</td></tr>
      <tr><th scope="row">format, epoch, seed</th><td>${version.format}, ${version.epoch}, ${version.seed}</td></tr>
      ${Object.entries(version.files ?? {}).map(([name, digest]) => html`<tr key=${name}><th scope="row">${name}</th><td class="mono breaks small">SHA-256 ${digest}</td></tr>`)}
    </tbody>
  </table>
<//>`;
