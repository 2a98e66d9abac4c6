/** Which tasks are shown: kept in the address, so that what is seen can be shared. */
import { html, useEffect, useRef, useState } from "../../lib/html.js";
import { Chips } from "../../components/bits.js";
import { count } from "../../lib/format.js";
import { go, here } from "../../lib/router.js";

/** Every filter by its name in the address, as people call it. */
const NAMES = {
  text: "text", family: "family", level: "level", solved: "solved", state: "state", reward_min: "reward from", reward_max: "reward to",
  version: "asked by version", sampled: "answered by version", consumed: "learned by version", source: "source", role: "asked by",
};
const SOLVED = { yes: "by all samples", partly: "by some", no: "by none" };
const SORTS = { newest: "newest first", oldest: "oldest first", "-reward": "best reward first", reward: "worst reward first" };
const SETTLES = 350;

/** The filters of an address, as the API takes them. */
export const filtersOf = (query) => Object.fromEntries(["sort", ...Object.keys(NAMES)].map((name) => [name, query[name]]));

/** Sets filters; null takes one away. */
export const filter = (changes, options) => go(here(changes), options);

export function Filters({ query, facets }) {
  const inForce = Object.entries(NAMES).filter(([name]) => query[name]).map(([name, label]) => ({ name, label, value: query[name] }));
  const none = Object.fromEntries(Object.keys(NAMES).map((name) => [name, null]));
  return html`<div class="stack filters">
    <form class="row" role="search" aria-label="Filter tasks" onSubmit=${(event) => event.preventDefault()}>
      <${Typed} name="text" label="Text" value=${query.text} wide="wide" placeholder="in question or answer" />
      <${Choice} name="family" value=${query.family} options=${counted(facets?.family)} />
      <${Choice} name="level" value=${query.level} options=${counted(facets?.level, byNumber)} />
      <${Choice} name="solved" value=${query.solved} options=${Object.entries(SOLVED)} />
      <${Choice} name="state" value=${query.state} options=${counted(facets?.state)} />
      <${Choice} name="source" value=${query.source} options=${counted(facets?.source)} />
      <${Typed} name="reward_min" label="Reward from" value=${query.reward_min} number="any" />
      <${Typed} name="reward_max" label="to" value=${query.reward_max} number="any" />
      <${Typed} name="version" label="Asked by version" value=${query.version} number="1" />
      <${Typed} name="sampled" label="Answered by" value=${query.sampled} number="1" />
      <${Typed} name="consumed" label="Learned by" value=${query.consumed} number="1" />
      <label class="labelled"><span>Order</span>
        <select class="field" data-testid="filter-sort" value=${query.sort ?? "newest"} onChange=${(event) => filter({ sort: event.currentTarget.value === "newest" ? null : event.currentTarget.value })}>
          ${Object.entries(SORTS).map(([value, words]) => html`<option key=${value} value=${value} selected=${value === (query.sort ?? "newest")}>${words}</option>`)}
        </select></label>
    </form>
    <${Chips} filters=${inForce} onRemove=${(name) => filter({ [name]: null })} onClear=${() => filter(none)} />
  </div>`;
}

const byNumber = ([one], [other]) => Number(one) - Number(other);

const counted = (facet, order) =>
  Object.entries(facet ?? {}).sort(order).map(([value, tasks]) => [value, `${value} (${count(tasks)})`]);

/** A value in force stays to be chosen, even where no task has it. */
function Choice({ name, value, options }) {
  const all = !value || options.some(([one]) => one === value) ? options : [[value, value], ...options];
  if (all.length < 2 && !value) return null;
  return html`<label class="labelled"><span>${capital(NAMES[name])}</span>
    <select class="field" data-testid=${`filter-${name}`} value=${value ?? ""} onChange=${(event) => filter({ [name]: event.currentTarget.value || null })}>
      <option value="" selected=${!value}>any</option>
      ${all.map(([one, words]) => html`<option key=${one} value=${one} selected=${one === value}>${words}</option>`)}
    </select></label>`;
}

/** Takes effect when somebody stops to type. */
function Typed({ name, label, value, number, wide = "", placeholder }) {
  const [text, setText] = useState(value ?? "");
  const timer = useRef(null);
  useEffect(() => setText(value ?? ""), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const typed = (event) => {
    const said = event.currentTarget.value;
    setText(said);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => filter({ [name]: said.trim() || null }, { replace: true }), SETTLES);
  };
  return html`<label class="labelled"><span>${label}</span>
    <input class=${`field ${number ? "figure" : wide}`} type=${number ? "number" : "search"} step=${number} value=${text} placeholder=${placeholder}
      autocomplete="off" spellcheck="false" data-testid=${`filter-${name}`} onInput=${typed} /></label>`;
}

const capital = (words) => words[0].toUpperCase() + words.slice(1);
