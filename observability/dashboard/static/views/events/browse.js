/** One partition from any offset on, some records forwards or back. */
import { html, useEffect, useState } from "../../lib/html.js";
import { Answer, Empty } from "../../components/words.js";
import { of, useApi } from "../../lib/api.js";
import { count } from "../../lib/format.js";
import { go, here } from "../../lib/router.js";
import { CopyAll, Rows } from "./rows.js";

const SIZES = [10, 50, 200];

export function Browse({ run, at, live, query, chosen }) {
  const topics = useApi(of(run, "topics"), { at }, { live });
  return html`<${Answer} of=${topics} what="the topics">${(data) => html`<${Partition} run=${run} at=${at} live=${live} query=${query} chosen=${chosen} topics=${data.topics} />`}<//>`;
}

function Partition({ run, at, live, query, chosen, topics }) {
  const topic = topics.find((one) => one.topic === query.topic) ?? topics.find(({ records }) => records > 0) ?? topics[0];
  const first = topic?.partitions.find(({ start, end }) => end > start) ?? topic?.partitions[0];
  const number = Number(query.partition ?? first?.partition ?? 0);
  const size = SIZES.includes(Number(query.limit)) ? Number(query.limit) : SIZES[0];
  const atEnd = query.offset === undefined;
  const asked = { topic: topic?.topic, partition: number, offset: query.offset, direction: query.direction ?? (atEnd ? "previous" : "next"), limit: size, at };
  const found = useApi(topic ? of(run, "events") : null, asked, { live: atEnd ? live : null });
  if (!topic) return html`<${Empty}>The log has no topic.<//>`;
  const set = (changes) => go(here({ offset: null, direction: null, ...changes }));
  return html`<div class="row controls">
      <label class="labelled"><span>Topic</span><select class="field" data-testid="topic" value=${topic.topic} onChange=${(event) => set({ topic: event.currentTarget.value, partition: null })}>
        ${topics.map((one) => html`<option key=${one.topic} value=${one.topic} selected=${one === topic}>${one.topic} (${count(one.records)})</option>`)}
      </select></label>
      <label class="labelled"><span>Partition</span><select class="field" data-testid="partition" value=${number} onChange=${(event) => set({ partition: event.currentTarget.value })}>
        ${topic.partitions.map((one) => html`<option key=${one.partition} value=${one.partition} selected=${one.partition === number}>${one.partition} (${count(one.start)}–${count(one.end)})</option>`)}
      </select></label>
      <${Offset} value=${query.offset ?? ""} onGo=${(offset) => set({ offset, direction: offset === null ? null : "next" })} />
      <label class="labelled"><span>Records</span><select class="field" value=${size} onChange=${(event) => go(here({ limit: event.currentTarget.value }))}>
        ${SIZES.map((one) => html`<option key=${one} value=${one} selected=${one === size}>${one}</option>`)}
      </select></label>
    </div>
    <p class="soft small">${topic.description}</p>
    <${Answer} of=${found} what="the partition">${(page) => html`
      <div class="row spread">
        <div class="row" role="group" aria-label="Move along the partition">
          <${Step} words="Start" off=${page.previous === null} onClick=${() => set({ offset: page.start, direction: "next" })} testid="first" />
          <${Step} words=${`◀ Previous ${size}`} off=${page.previous === null} onClick=${() => set({ offset: page.events[0]?.offset ?? page.end, direction: "previous" })} testid="previous" />
          <${Step} words=${`Next ${size} ▶`} off=${page.next === null} onClick=${() => set({ offset: page.next, direction: "next" })} testid="next" />
          <${Step} words="End" off=${atEnd} onClick=${() => set({})} testid="last" />
        </div>
        <${CopyAll} events=${page.events} />
      </div>
      <p class="small soft" role="status" data-testid="window">${where(page)}</p>
      <${Rows} events=${page.events} query=${query} chosen=${chosen} empty=${empty(page)} />`}<//>`;
}

const Step = ({ words, off, onClick, testid }) =>
  html`<button type="button" class="button" disabled=${off} onClick=${onClick} data-testid=${`events-${testid}`}>${words}</button>`;

const where = ({ events, start, end, topic, partition }) =>
  events.length === 0
    ? `${topic}/${partition} has offsets ${count(start)} to ${count(end)}.`
    : `Offsets ${count(events[0].offset)} to ${count(events[events.length - 1].offset)} of ${topic}/${partition}, which has ${count(start)} to ${count(end - 1)}.`;

const empty = ({ start, end, topic, partition }) =>
  start === end ? `Nothing was said in ${topic}/${partition} up to here.` : `There is nothing at that offset: ${topic}/${partition} has ${count(start)} to ${count(end - 1)}.`;

function Offset({ value, onGo }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const asked = (event) => {
    event.preventDefault();
    onGo(text === "" ? null : text);
  };
  return html`<form class="row" onSubmit=${asked}>
    <label class="labelled"><span>From offset</span><input class="field figure" type="number" min="0" step="1" value=${text} placeholder="end"
      data-testid="offset" onInput=${(event) => setText(event.currentTarget.value)} /></label>
    <button class="button at-field" type="submit">Go</button>
  </form>`;
}
