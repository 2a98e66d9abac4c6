/** Two runs, or two versions: their curves, scores, settings, and what both answered to the same problem. */
import { html, useEffect, useState } from "../../lib/html.js";
import { useApi } from "../../lib/api.js";
import { count, interval, number, percent, points } from "../../lib/format.js";
import { go, href, here } from "../../lib/router.js";
import { ANY } from "../../lib/stream.js";
import { Badge, Card } from "../../components/bits.js";
import { shade } from "../../components/heat.js";
import { Answer, Empty } from "../../components/words.js";
import { Answers } from "./answers.js";
import { Curves } from "./curves.js";

export default function Compare({ query }) {
  const runs = useApi("/runs", {}, { live: ANY });
  return html`<${Answer} of=${runs} what="the runs">${(data) => html`<${Pair} runs=${data.runs} query=${query} />`}<//>`;
}

/** Without a word in the address: the first two runs, or the middle and the end of the only one. */
function Pair({ runs, query }) {
  const a = query.a ?? (runs.length === 1 ? `${runs[0].id}@${Math.floor((runs[0].version ?? 0) / 2)}` : runs[0]?.id);
  const other = runs.find(({ id }) => id !== sideOf(a).run)?.id ?? runs[0]?.id;
  const b = query.b ?? other;
  const found = useApi(a && b ? "/compare" : null, { a, b });
  if (runs.length === 0) return html`<${Empty}>There is no run to compare.<//>`;
  return html`
    <${Card} title="Compare" about="two runs, or two versions" testid="compare">
      <div class="row">
        <${Side} name="a" said=${a} runs=${runs} onSay=${(text) => go(here({ a: text, b }))} />
        <button type="button" class="button" data-testid="swap" onClick=${() => go(here({ a: b, b: a }))}>Swap</button>
        <${Side} name="b" said=${b} runs=${runs} onSay=${(text) => go(here({ a, b: text }))} />
      </div>
    <//>
    <${Answer} of=${found} what="both">${(data) => html`
      <${Heads} data=${data} a=${a} b=${b} />
      <${Curves} data=${data} names=${[a, b]} />
      <div class="pair loose">
        <${Scores} scores=${data.scores} names=${[a, b]} />
        <div class="stack">
          <${Differences} title="Settings that differ" rows=${data.settings} names=${[a, b]} testid="settings" empty="Both have the same settings." />
          <${Differences} title="Metrics of the newest version" rows=${data.metrics} names=${[a, b]} testid="compare-metrics" empty="The trainer measured nothing." />
        </div>
      </div>
      <${Answers} answers=${data.answers} names=${[a, b]} sides=${[sideOf(a).run, sideOf(b).run]} />
    `}<//>
  `;
}

export function sideOf(text) {
  const cut = (text ?? "").lastIndexOf("@");
  return cut < 0 ? { run: text, at: "" } : { run: text.slice(0, cut), at: text.slice(cut + 1) };
}

function Side({ name, said, runs, onSay }) {
  const { run, at } = sideOf(said);
  const [text, setText] = useState(at);
  useEffect(() => setText(at), [at]);
  const say = (id, moment) => onSay(moment.trim() ? `${id}@${moment.trim()}` : id);
  return html`<form class="row side" onSubmit=${(event) => (event.preventDefault(), say(run, text))}>
    <i class=${`key ${name === "b" ? "dash k2" : "k1"}`}></i>
    <label class="hidden" for=${`run-${name}`}>Run ${name}</label>
    <select id=${`run-${name}`} class="field" data-testid=${`compare-${name}`} onChange=${(event) => say(event.currentTarget.value, text)}>
      ${runs.map(({ id }) => html`<option key=${id} value=${id} selected=${id === run}>${id}</option>`)}
    </select>
    <label class="soft small" for=${`at-${name}`}>at</label>
    <input id=${`at-${name}`} class="field short" placeholder="now" value=${text} data-testid=${`compare-at-${name}`} onInput=${(event) => setText(event.currentTarget.value)} />
    <button type="submit" class="button">Go</button>
  </form>`;
}

function Heads({ data, a, b }) {
  const row = (title, of) => html`<tr><th scope="row">${title}</th><td>${of(data.a)}</td><td>${of(data.b)}</td></tr>`;
  return html`<${Card} testid="heads" label="Both sides"><div class="scroll" tabindex="0" role="group" aria-label="Both sides"><table class="plain">
    <thead><tr><th></th><th>${a}</th><th>${b}</th></tr></thead>
    <tbody>
      ${row("run", ({ run }) => html`<a href=${href("overview", { run: run.id })}>${run.run ?? run.id}</a>`)}
      ${row("recipe, seed", ({ run }) => `${run.recipe ?? "–"}, ${run.seed ?? "–"}`)}
      ${row("version", ({ version }) => count(version))}
      ${row("held-out accuracy", ({ status }) => html`<b>${percent(status?.held_out)}</b>${status?.held_out_interval && html` <span class="soft small">95 %: ${interval(status.held_out_interval)}</span>`}`)}
      ${row("seen levels", ({ status }) => percent(status?.seen))}
      ${row("judged", ({ status }) => count(status?.counts?.judgments))}
    </tbody>
  </table></div><//>`;
}

function Scores({ scores, names }) {
  return html`<${Card} title="Scores by level" about="accuracy in %, with its 95 % interval" testid="scores">
    ${scores.length === 0
      ? html`<${Empty}>Neither side has been evaluated.<//>`
      : html`<div class="scroll" tabindex="0" role="group" aria-label="Scores"><table class="plain">
          <thead><tr><th>suite</th><th class="number">level</th>${names.map((name) => html`<th class="number">${name}</th>`)}<th class="number">difference</th><th></th></tr></thead>
          <tbody>${scores.map((one) => html`<tr key=${`${one.suite}/${one.level}`}>
            <td>${one.suite}</td><td class="number">${one.level}</td>
            <${Score} score=${one.a} /><${Score} score=${one.b} />
            <td class="number">${one.difference === null ? "–" : `${one.difference > 0 ? "+" : ""}${points(one.difference)}`}</td>
            <td>${one.clear && html`<${Badge} kind=${one.difference > 0 ? "good" : "bad"}>${one.difference > 0 ? "clearly more" : "clearly less"}<//>`}</td>
          </tr>`)}</tbody>
        </table></div>`}
  <//>`;
}

const Score = ({ score }) =>
  score
    ? html`<td class=${`number share ${shade(score.accuracy)}`} title=${interval([score.low, score.high])}>${points(score.accuracy)}</td>`
    : html`<td class="number soft">–</td>`;

function Differences({ title, rows, names, testid, empty }) {
  const shown = (value) => (typeof value === "number" ? number(value) : value === null || value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value));
  return html`<${Card} title=${title} testid=${testid}>
    ${rows.length === 0
      ? html`<${Empty}>${empty}<//>`
      : html`<div class="scroll tall" tabindex="0" role="group" aria-label=${title}><table class="plain">
          <thead><tr><th></th>${names.map((name) => html`<th class="number">${name}</th>`)}</tr></thead>
          <tbody>${rows.map((row) => html`<tr key=${row.name}><th scope="row">${row.name}</th><td class="number breaks">${shown(row.a)}</td><td class="number breaks">${shown(row.b)}</td></tr>`)}</tbody>
        </table></div>`}
  <//>`;
}
