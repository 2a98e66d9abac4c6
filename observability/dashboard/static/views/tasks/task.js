/** One task: what was asked, its samples side by side, the same asked of other versions, what it taught. */
import { html, useState } from "../../lib/html.js";
import { Badge, Card, Copy } from "../../components/bits.js";
import { Figures } from "../../components/figures.js";
import { Json, Said } from "../../components/said.js";
import { TokenLegend } from "../../components/tokens.js";
import { Answer, Empty } from "../../components/words.js";
import { of, useApi } from "../../lib/api.js";
import { count, known, number, percent, time } from "../../lib/format.js";
import { href } from "../../lib/router.js";
import { filtersOf } from "./filters.js";
import { STATES } from "./list.js";
import { Sample, TurnOf } from "./sample.js";

export const VersionLink = ({ version }) =>
  known(version) ? html`<a href=${href("versions", { rest: [version] })}>${count(version)}</a>` : "–";

export function TaskPage({ run, at, live, id, query }) {
  const found = useApi(of(run, "tasks", id), { at }, { live });
  return html`<nav class="row spread" aria-label="Around this task">
      <a href=${href("tasks", { query: filtersOf(query) })} data-testid="all-tasks">← All tasks</a>
      <a href=${href("agents", { rest: [id] })} data-testid="follow">Follow it through all agents →</a>
    </nav>
    <${Answer} of=${found} what="the task">${(data) => html`
      <${Asked} data=${data} />
      <${Samples} data=${data} />
      <div class="halves">
        <${Same} data=${data} query=${query} />
        <${Taught} taught=${data.taught ?? []} />
        ${data.lessons?.length > 0 && html`<${Lessons} lessons=${data.lessons} />`}
        ${data.letters?.length > 0 && html`<${Letters} letters=${data.letters} />`}
      </div>`}<//>`;
}

function Asked({ data }) {
  const { task, state } = data;
  const figures = [
    { name: "family", value: html`<a href=${href("tasks", { query: { family: task.family } })}>${task.family}</a>` },
    { name: "level", value: html`<a href=${href("tasks", { query: { family: task.family, level: task.level } })}>${task.level}</a>` },
    { name: "granted by version", value: html`<${VersionLink} version=${task.version} />` },
    { name: "asked by", value: task.agent, more: task.source },
    { name: "asked at", value: time(task.time) },
    { name: "place on the log", value: html`<a class="mono" href=${href("events", { rest: [task.id] })}>${task.place}</a>` },
  ];
  return html`<${Card} title="Task" testid="task" about=${html`<${Badge} kind=${STATES[state]}>${state}<//>`}
      end=${html`<code class="small soft">${task.id}</code><${Copy} text=${task.id} label="Copy id" />`}>
    <div class="stack">
      <${Figures} figures=${figures} />
      <div class="asked">
        <div><h3>Question</h3><${Said} text=${task.question} testid="question" /></div>
        <div><h3>Expected answer</h3><${Said} text=${task.answer} none="none is known" testid="expected" /></div>
        <div><h3>Prompt</h3><${Said} text=${task.prompt} testid="prompt" /></div>
      </div>
      ${Object.keys(task.metadata ?? {}).length > 0 && html`<${Json} title="What the domain knows of it" data=${task.metadata} />`}
      ${task.proposal && html`<details><summary>A model wrote it</summary><${TurnOf} turn=${task.proposal} label="the proposal" /></details>`}
    </div>
  <//>`;
}

const ORDERS = { drawn: "as drawn", best: "best first", worst: "worst first" };

function Samples({ data }) {
  const [order, setOrder] = useState("drawn");
  const { attempt, judgment, samples, state } = data;
  if (!samples || samples.length === 0) {
    return html`<${Card} title="Attempt"><${Empty}>${state === "dead" ? "It could not be attempted: its dead letter says why." : "Nobody has attempted it up to here."}<//><//>`;
  }
  const numbered = samples.map((sample, at) => ({ sample, number: at + 1 }));
  const worth = ({ sample }) => sample.verdict?.reward ?? -Infinity;
  if (order !== "drawn") numbered.sort((one, other) => (order === "best" ? worth(other) - worth(one) : worth(one) - worth(other)));
  const right = samples.filter(({ verdict }) => verdict?.right).length;
  const about = `${count(samples.length)} samples${judgment ? `, ${count(right)} right, says ${judgment.critic}` : ", not judged yet"}; temperature ${number(attempt?.temperature)}`;
  return html`<${Card} title="Attempt" about=${about} testid="attempt" end=${html`<label class="row small"><span class="soft">Order</span>
      <select class="field" value=${order} onChange=${(event) => setOrder(event.currentTarget.value)}>
        ${Object.entries(ORDERS).map(([name, words]) => html`<option key=${name} value=${name}>${words}</option>`)}
      </select></label>`}>
    <div class="stack">
      <${TokenLegend} />
      <div class="samples">${numbered.map(({ sample, number: place }) => html`<${Sample} key=${place} sample=${sample} number=${place} />`)}</div>
      <p class="small soft">${attempt && html`Attempt <${Place} of=${attempt} />`}${judgment && html`, judgment <${Place} of=${judgment} />`}</p>
    </div>
  <//>`;
}

const Place = ({ of: said }) => html`<a href=${href("events", { rest: [said.id] })}>${said.place}</a> at ${time(said.time)}`;

function Same({ data, query }) {
  const same = data.same ?? [];
  return html`<${Card} title="The same task, asked again" testid="same" about=${same.length > 1 ? `${count(same.length)} times` : ""}>
    ${same.length < 2
      ? html`<${Empty}>It was asked once up to here.<//>`
      : html`<div class="scroll tall" tabindex="0" role="group" aria-label="The same task of other versions"><table class="plain">
          <thead><tr><th>asked at</th><th class="number">version</th><th class="number">right</th><th class="number">reward</th><th></th></tr></thead>
          <tbody>${same.map((one) => html`<tr key=${one.task} aria-current=${one.task === data.task.id ? "true" : null}>
            <td>${one.task === data.task.id ? html`<b>this one</b>` : html`<a href=${href("tasks", { rest: [one.task], query: filtersOf(query) })}>${time(one.time)}</a>`}</td>
            <td class="number"><${VersionLink} version=${one.version} /></td>
            <td class="number">${known(one.correct) ? `${count(one.correct)} of ${count(one.samples)}` : "–"}</td>
            <td class="number">${number(one.reward)}</td>
            <td class="share">${known(one.correct) && one.samples > 0 && html`<span class="bar" style=${{ width: percent(one.correct / one.samples).replace(" ", "") }}></span>`}</td>
          </tr>`)}</tbody>
        </table></div>`}
  <//>`;
}

function Taught({ taught }) {
  return html`<${Card} title="What it taught" testid="taught">
    ${taught.length === 0
      ? html`<${Empty}>No version has consumed it up to here.<//>`
      : html`<ul class="stack">${taught.map((one) => html`<li key=${one.version}>
          Version <${VersionLink} version=${one.version} /> ${how(one)}.
          ${one.descendants > 0
            ? html` ${count(one.descendants)} ${one.descendants === 1 ? "version stands" : "versions stand"} on it, the newest is <${VersionLink} version=${one.newest} />.`
            : " No version stands on it."}
          ${one.evaluations?.length > 0
            ? html`<p class="small soft">Measured after it: ${one.evaluations.slice(0, 4).map((found, at) => html`${at > 0 && "; "}version <${VersionLink} version=${found.version} /> held out ${percent(found.held_out)}`)}.</p>`
            : html`<p class="small soft">Nothing was measured after it.</p>`}
        </li>`)}</ul>`}
  <//>`;
}

const how = ({ learned, reason }) => (learned === true ? "learned from it" : learned === false ? `dropped it${reason ? ` (${reason})` : ""}` : "consumed it");

const Lessons = ({ lessons }) =>
  html`<${Card} title="Lessons from it" testid="lessons"><ul class="stack">
    ${lessons.map((lesson) => html`<li key=${lesson.id}><p class="small soft">from sample ${lesson.sample + 1}, by version ${lesson.version ?? "–"}, about ${lesson.about}</p><${Said} text=${lesson.text} /></li>`)}
  </ul><//>`;

const Letters = ({ letters }) =>
  html`<${Card} title="Dead letters about it" testid="letters"><ul class="stack">
    ${letters.map((letter) => html`<li key=${letter.id}><p><a href=${href("events", { rest: [letter.id] })}>${letter.group}</a> could not, ${time(letter.time)}:</p><${Said} text=${letter.reason} /></li>`)}
  </ul><//>`;
