/** One event: where it stands, what it answers and what answers it, its headers and its body. */
import { html } from "../../lib/html.js";
import { Card, Copy } from "../../components/bits.js";
import { Figures } from "../../components/figures.js";
import { Said } from "../../components/said.js";
import { Answer, Note } from "../../components/words.js";
import { of, useApi } from "../../lib/api.js";
import { bytes, known, time } from "../../lib/format.js";
import { href } from "../../lib/router.js";
import { travel } from "../../lib/travel.js";
import { visible } from "../../lib/visible.js";

const ID = /^[0-9a-f]{32}$/;

export function One({ run, at, name, back }) {
  const asked = ID.test(name) ? { id: name } : { place: name };
  const found = useApi(of(run, "events", "one"), { ...asked, at });
  return html`<${Card} title=${found.data?.type ?? "Event"} about=${found.data?.place} testid="event" end=${html`<a href=${back} class="button quiet" aria-label="Close this event">✕ Close</a>`}>
    <${Answer} of=${found} what="the event">${(event) => html`<${Shown} event=${event} />`}<//>
  <//>`;
}

function Shown({ event }) {
  const json = JSON.stringify(event.body, null, 2);
  return html`<div class="stack">
    <div class="row">
      <${Copy} text=${() => JSON.stringify(event, null, 2)} label="Copy as JSON" testid="copy-event" />
      ${event.id && html`<button type="button" class="button quiet" data-testid="travel-here" onClick=${() => travel(event.id)}>All views as of here</button>`}
      ${event.task && html`<a class="button quiet" href=${href("tasks", { rest: [event.task] })}>Its task</a>
        <a class="button quiet" href=${href("agents", { rest: [event.task] })}>Through all agents</a>`}
      <a class="button quiet" href=${href("events", { rest: [event.id ?? event.place], query: { topic: event.topic, partition: event.partition, offset: Math.max(0, event.offset - 4), direction: "next" } })}>Its neighbours</a>
    </div>
    <${Figures} figures=${figures(event)} />
    ${event.unreadable && html`<${Note} kind="bad" testid="unreadable">${event.unreadable}<//>`}
    <${Chain} title="Answers" testid="answers" ids=${event.cause ? [event.cause] : []} none="nothing: it is the first of its kind" />
    <${Chain} title="Answered by" testid="answered-by" ids=${event.answers ?? []} none="nothing that is known up to here" />
    <details open><summary>Body</summary><${Said} text=${event.body === null ? event.text : json} most=${6000} none="empty" testid="body" /></details>
    <details open><summary>Headers</summary><div class="scroll"><table class="plain small" data-testid="headers"><tbody>
      ${Object.entries(event.headers ?? {}).map(([name, value]) => html`<tr key=${name}><th scope="row">${name}</th>
        <td class="mono broken"><a title="All events with it" href=${href("events", { query: { show: "search", header: `${name}:${value}` } })}>${visible(value)}</a></td></tr>`)}
    </tbody></table></div></details>
  </div>`;
}

const figures = ({ time: moment, agent, key, bytes: size, version }) => [
  { name: "time", value: time(moment) },
  { name: "said by", value: visible(agent ?? "–") },
  known(version) && { name: "by version", value: html`<a href=${href("versions", { rest: [version] })}>${version}</a>` },
  { name: "size", value: bytes(size) },
  { name: "key", value: key ? html`<a class="mono" href=${href("events", { query: { show: "search", key } })}>${visible(key)}</a>` : "–" },
];

const Chain = ({ title, testid, ids, none }) =>
  html`<div data-testid=${testid}><h3>${title}</h3>${ids.length === 0
    ? html`<p class="small soft">${none}</p>`
    : html`<ul class="small mono">${ids.map((id) => html`<li key=${id}><a href=${href("events", { rest: [id] })}>${id}</a></li>`)}</ul>`}</div>`;
