/** Every run that is served: where it stands, what it is called, what was noted. */
import { html, useState } from "../../lib/html.js";
import { Badge, Card, Chips, Value } from "../../components/bits.js";
import { Figures } from "../../components/figures.js";
import { Answer, Empty, Note } from "../../components/words.js";
import { useApi } from "../../lib/api.js";
import { ago, bytes, count, cut, interval, known, percent, time } from "../../lib/format.js";
import { go, here, href } from "../../lib/router.js";
import { ANY, states } from "../../lib/stream.js";
import { useStore } from "../../lib/store.js";
import { oneLine } from "../../lib/visible.js";
import { Noted } from "./noted.js";

const KINDS = { running: "good", finished: "good", paused: "warn", stopped: "", idle: "", unreachable: "bad" };
const SORTS = {
  updated: ["newest event", ({ updated_at: at }) => -Date.parse(at ?? 0)],
  held_out: ["accuracy", ({ held_out: share }) => -(share ?? -1)],
  events: ["events", ({ events }) => -events],
  bytes: ["size", ({ bytes: size }) => -(size ?? 0)],
  id: ["name", ({ id }) => id],
};

export default function Runs({ query }) {
  const found = useApi("/runs", {}, { live: ANY });
  const session = useApi("/session");
  return html`<${Answer} of=${found} what="the runs">${({ runs }) => html`<${All} runs=${runs} query=${query} mayWrite=${session.data?.control === true} reload=${found.reload} />`}<//>`;
}

function All({ runs, query, mayWrite, reload }) {
  const live = useStore(states);
  const [chosen, setChosen] = useState([]);
  const [, order] = SORTS[query.sort] ?? SORTS.updated;
  const all = runs.map((run) => ({ ...run, ...changed(live[run.id]) }));
  const shown = all.filter(fits(query)).sort((one, other) => (order(one) < order(other) ? -1 : order(one) > order(other) ? 1 : 0));
  const choose = (id) => setChosen((before) => (before.includes(id) ? before.filter((one) => one !== id) : [...before, id].slice(-2)));
  const filters = ["tag", "state", "text"].filter((name) => query[name]).map((name) => ({ name, value: query[name] }));
  if (runs.length === 0) return html`<${Card} title="Runs"><${Empty}>No run is served here. Name one: evolvent dashboard RUN.<//><//>`;
  return html`<${Card} title="Runs" about=${`${count(shown.length)} of ${count(runs.length)}`} testid="runs" end=${html`
      ${chosen.length === 2 && html`<a class="button first" data-testid="compare-two" href=${href("compare", { run: null, query: { a: chosen[0], b: chosen[1] } })}>Compare ${chosen[0]} and ${chosen[1]}</a>`}`}>
    <div class="stack">
      <form class="row controls" role="search" aria-label="Filter runs" onSubmit=${(event) => event.preventDefault()}>
        <label class="labelled"><span>Text</span><input class="field" type="search" value=${query.text ?? ""} placeholder="name, recipe, note" data-testid="runs-text"
          onInput=${(event) => go(here({ text: event.currentTarget.value || null }), { replace: true })} /></label>
        <label class="labelled"><span>Order</span><select class="field" value=${query.sort ?? "updated"} onChange=${(event) => go(here({ sort: event.currentTarget.value }))}>
          ${Object.entries(SORTS).map(([name, [words]]) => html`<option key=${name} value=${name} selected=${name === (query.sort ?? "updated")}>${words}</option>`)}</select></label>
      </form>
      <${Chips} filters=${filters} onRemove=${(name) => go(here({ [name]: null }))} onClear=${() => go(here({ tag: null, state: null, text: null }))} />
      ${shown.length === 0
        ? html`<${Empty}>No run fits these filters.<//>`
        : html`<ul class="runs">${shown.map((run) => html`<${One} key=${run.id} run=${run} chosen=${chosen.includes(run.id)} several=${runs.length > 1} onChoose=${() => choose(run.id)} mayWrite=${mayWrite} reload=${reload} />`)}</ul>`}
    </div>
  <//>`;
}

/** What the stream says of a run since it was asked for. */
const changed = (message) => {
  if (!message) return {};
  const names = ["state", "version", "versions", "events", "held_out", "held_out_interval"];
  return Object.fromEntries(names.filter((name) => message[name] !== undefined).map((name) => [name, message[name]]));
};

const fits = ({ text, tag, state }) => (run) => {
  const words = [run.id, run.run, run.recipe, run.path, run.note, ...(run.tags ?? [])].join("\n").toLowerCase();
  return (!text || words.includes(text.toLowerCase())) && (!tag || run.tags?.includes(tag)) && (!state || run.state === state);
};

function One({ run, chosen, several, onChoose, mayWrite, reload }) {
  const figures = [
    { name: "held out", value: percent(run.held_out), more: run.held_out_interval && interval(run.held_out_interval) },
    { name: "best", value: percent(run.best), more: known(run.best_version) && `version ${count(run.best_version)}` },
    { name: "versions", value: count(run.versions) },
    { name: "events", value: count(run.events), more: run.index && !run.index.ready && `${count(run.index.done)} read` },
    { name: "size", value: bytes(run.bytes) },
    { name: "newest event", value: ago(run.updated_at), title: time(run.updated_at) },
  ];
  return html`<li class="run" data-testid="run-row">
    <div class="row">
      ${several && html`<label class="pick"><input type="checkbox" checked=${chosen} onChange=${onChoose} aria-label=${`Compare ${run.id}`} /></label>`}
      <h3><a href=${href("overview", { run: run.id })}>${oneLine(run.id)}</a></h3>
      <${Value} title=${`Only ${run.state}`} onPick=${() => go(here({ state: run.state }))}><${Badge} kind=${KINDS[run.state]}>${run.state}<//><//>
      <span class="soft small">recipe ${run.recipe ?? "not known"}${known(run.seed) && `, seed ${run.seed}`}${run.parent && `, a fork of ${run.parent.run} at version ${run.parent.version}`}</span>
    </div>
    ${run.error && html`<${Note} kind="bad">${run.error}<//>`}
    ${run.guard && html`<${Note} kind="warn">${cut(oneLine(run.guard.reason ?? "a guard has spoken"), 300)}<//>`}
    <${Figures} figures=${figures} />
    <p class="small soft broken">${run.path ?? run.bus}</p>
    <${Noted} run=${run} mayWrite=${mayWrite} reload=${reload} />
  </li>`;
}
