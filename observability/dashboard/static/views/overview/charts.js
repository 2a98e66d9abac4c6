/** The charts one watches: is it learning, what is asked, is training stable, where is the bottleneck. */
import { html } from "../../lib/html.js";
import { clock, count, date, known, number, percent, seconds } from "../../lib/format.js";
import { Card } from "../../components/bits.js";
import { Chart } from "../../components/chart.js";
import { Bars } from "../../components/heat.js";
import { Empty } from "../../components/words.js";
import { Levels } from "./held_out.js";

const Section = ({ title, testid, children }) => html`<section class="stack" data-testid=${testid} aria-label=${title}>
  <h2>${title}</h2>
  <div class="cards">${children}</div>
</section>`;

const box = (chart) => html`<div class="card">${chart}</div>`;

export function Learning({ series }) {
  const { version, columns, levels, judges } = series;
  const rewards = Object.entries(judges ?? {}).map(([name, judge]) => ({ name, values: judge.reward, low: judge.low, high: judge.high }));
  return html`<${Section} title="Does it learn" testid="charts-learning">
    ${box(html`<${Chart} title="Reward" unit="mean, band of one standard deviation, by judge" x=${version} series=${rewards} why="Nothing has been judged and learned from yet." />`)}
    <div class="card">
      <div class="chart-head"><h3>Success by level <span class="soft small">% of samples in training</span></h3></div>
      <${Levels} levels=${levels} version=${version} name="success" average=${true} why="No version has learned from anything yet." />
    </div>
    ${box(html`<${Chart} title="Right at the first and at any try" unit="share of tasks" x=${version} range=${[0, 1]} format=${percent}
      why="Tasks are tried once only, or nothing was judged yet: a gap needs several samples of a task."
      series=${[
        { name: "pass@1", values: columns.pass_at_1 },
        { name: "pass@k", values: columns.pass_at_k, line: "dash", colour: 3 },
      ]} />`)}
    ${box(html`<${Chart} title="Judges that agree" unit="share of verdicts" x=${version} range=${[0, 1]} format=${percent} series=${[{ name: "agreement", values: columns.judge_agreement, colour: 4 }]}
      why="One judge alone decides here: agreement needs several." />`)}
  <//>`;
}

export function Asked({ series }) {
  const { version, columns, learnability_histogram: learnable } = series;
  const total = (learnable?.counts ?? []).reduce((sum, value) => sum + value, 0);
  return html`<${Section} title="What is asked" testid="charts-asked">
    ${box(html`<${Chart} title="Learnability" unit="mean of p(1 − p), at most 0.25" x=${version} range=${[0, 0.25]} series=${[{ name: "learnability", values: columns.learnability, colour: 3 }]} why="No groups have been consumed yet." />`)}
    ${box(html`<${Chart} title="Groups that teach nothing" unit="all right or all wrong" x=${version} range=${[0, 1]} format=${percent} series=${[{ name: "share of groups", values: columns.zero_variance, colour: 2 }]} why="No groups have been consumed yet." />`)}
    <div class="card">
      <div class="chart-head"><h3>Tasks by success <span class="soft small">of all that was consumed</span></h3></div>
      ${total === 0
        ? html`<${Empty}>Nothing has been consumed yet.<//>`
        : html`<${Bars} label="Tasks by the share of their samples that were right" bars=${learnable.counts.map((value, at) => ({ name: `${Math.round(100 * learnable.edges[at])}–${Math.round(100 * learnable.edges[at + 1])} %`, value }))} />`}
    </div>
    ${box(html`<${Chart} title="Different tasks and answers" unit="share that is unique" x=${version} range=${[0, 1]} format=${percent} why="No batch has been consumed yet."
      series=${[
        { name: "tasks", values: columns.unique_tasks },
        { name: "answers", values: columns.unique_answers, line: "dash", colour: 5 },
      ]} />`)}
  <//>`;
}

const STABILITY = [
  { title: "Entropy", unit: "nats a token", says: "entropy", names: [["entropy", "entropy"]] },
  { title: "Loss", unit: "", says: "loss", names: [["loss", "loss"]] },
  { title: "Gradient norm", unit: "", says: "gradient norm", names: [["norm", "grad_norm"]] },
  { title: "KL to the reference", unit: "nats", says: "KL to the reference", names: [["KL", "kl"]] },
  { title: "Trainer against sampler", unit: "mismatch KL, nats", says: "mismatch KL", names: [["mismatch", "mismatch_kl"]] },
  { title: "Clipped", unit: "share of tokens", says: "clip ratio", names: [["clipped", "clip_ratio"]] },
];

export function Stability({ series }) {
  const { version, columns } = series;
  const has = ({ names }) => names.some(([, column]) => columns[column]?.some(known));
  const missing = STABILITY.filter((one) => !has(one)).map(({ says }) => says);
  return html`<${Section} title="Is training stable" testid="charts-stability">
    ${STABILITY.filter(has).map(({ title, unit, names }, order) => box(html`<${Chart} key=${title} title=${title} unit=${unit} x=${version} series=${names.map(([name, column]) => ({ name, values: columns[column], colour: order + 1 }))} />`))}
    ${missing.length > 0 && html`<div class="card"><${Empty} testid="missing">Not in this log: ${missing.join(", ")}. This run's update does not measure them, or no version has been trained yet.<//></div>`}
  <//>`;
}

export function Flow({ series, roles }) {
  const { version, columns, rates, staleness_histogram: stale } = series;
  const times = (rates?.time ?? []).map((text) => date(text)?.valueOf() / 1000);
  const moment = (at) => clock(new Date(at * 1000).toISOString());
  const busy = roles.filter(({ backlog }) => known(backlog));
  return html`<${Section} title="Where is the bottleneck" testid="charts-flow">
    ${box(html`<${Chart} title="Through the loop" unit="a second" x=${times} xName="" xFormat=${moment} range=${[0, null]} why="The log is too short for rates."
      series=${[
        { name: "tasks", values: rates?.tasks },
        { name: "attempts", values: rates?.attempts, line: "dash", colour: 2 },
        { name: "judgments", values: rates?.judgments, line: "dot", colour: 3 },
      ]} />`)}
    ${box(html`<${Chart} title="Tokens" unit="sampled a second" x=${times} xName="" xFormat=${moment} range=${[0, null]} format=${count} series=${[{ name: "tokens/s", values: rates?.tokens, colour: 4 }]} why="The log is too short for rates." />`)}
    ${box(html`<${Chart} title="The trainer waits and works" unit="of a version" x=${version} range=${[0, null]} format=${seconds} why="No version has been trained yet."
      series=${[
        { name: "waits for a batch", values: columns.seconds_wait, colour: 2 },
        { name: "trains", values: columns.seconds_train, line: "dash", colour: 1 },
      ]} />`)}
    ${box(html`<${Chart} title="Staleness" unit="versions" x=${version} range=${[0, null]} why="Nothing has been learned from yet."
      series=${[
        { name: "mean", values: columns.staleness_mean },
        { name: "greatest", values: columns.staleness_max, line: "dot", colour: 5 },
      ]} />`)}
    <div class="card">
      <div class="chart-head"><h3>Events by staleness <span class="soft small">versions behind when learned from</span></h3></div>
      ${stale?.counts?.some((value) => value > 0)
        ? html`<${Bars} label="Events by staleness" bars=${stale.counts.map((value, at) => ({ name: number(stale.edges[at]), value }))} />`
        : html`<${Empty}>Nothing has been learned from yet.<//>`}
    </div>
    ${box(html`<${Chart} title="Lost on the way" unit="events" x=${version} range=${[0, null]} format=${count} why="No version has been trained yet."
      series=${[
        { name: "dead letters so far", values: columns.dead_letters, colour: 5 },
        { name: "dropped by the trainer", values: columns.dropped, line: "dash", colour: 2 },
      ]} />`)}
    <div class="card">
      <div class="chart-head"><h3>Open work <span class="soft small">records not done, by role</span></h3></div>
      ${busy.length === 0
        ? html`<${Empty}>No role has said what it has done yet.<//>`
        : html`<${Bars} label="Records not done, by role" bars=${busy.map(({ role, backlog }) => ({ name: role, value: backlog }))} />`}
    </div>
  <//>`;
}
