/** Events of any topic by text, key, header and time, the newest first; so many are read at a time. */
import { html, useEffect, useRef, useState } from "../../lib/html.js";
import { Chips } from "../../components/bits.js";
import { Loading, Note } from "../../components/words.js";
import { ApiError, get, of, useApi } from "../../lib/api.js";
import { count, date, time } from "../../lib/format.js";
import { asked, go, here } from "../../lib/router.js";
import { CopyAll, Rows } from "./rows.js";

const NAMES = { text: "text", topic: "topic", key: "key", header: "header", since: "from", until: "until" };
const MOMENTS = ["since", "until"];

export function Search({ run, at, query, chosen }) {
  const wanted = { ...Object.fromEntries(Object.keys(NAMES).map((name) => [name, query[name]])), at };
  const found = useSearch(run, wanted);
  const inForce = Object.entries(NAMES).filter(([name]) => query[name])
    .map(([name, label]) => ({ name, label, value: MOMENTS.includes(name) ? time(query[name]) : query[name] }));
  const none = Object.fromEntries(Object.keys(NAMES).map((name) => [name, null]));
  return html`<${Asked} key=${asked(wanted)} run=${run} at=${at} query=${query} />
    <${Chips} filters=${inForce} onRemove=${(name) => go(here({ [name]: null }))} onClear=${() => go(here(none))} />
    ${found.error && html`<${Note} kind="bad" testid="error">${found.error}<//>`}
    <div class="row spread">
      <p class="small soft" role="status" data-testid="searched">${said(found)}</p>
      <div class="row">
        ${found.next && html`<button type="button" class="button" disabled=${found.loading} data-testid="search-on" onClick=${found.more}>Search further back</button>`}
        ${found.events.length > 0 && html`<${CopyAll} events=${found.events} />`}
      </div>
    </div>
    ${found.loading && found.events.length === 0
      ? html`<${Loading} what="the log" />`
      : html`<${Rows} events=${found.events} query=${query} chosen=${chosen} empty=${found.next ? "Nothing so far: search further back." : "No event fits."} />`}`;
}

function said({ events, read, next, loading }) {
  const much = `${count(events.length)} found among ${count(read)} records`;
  if (loading) return `${much}; reading on …`;
  return next ? `${much} from the end back; the log goes on before them.` : `${much}: all there are.`;
}

function Asked({ run, at, query }) {
  const topics = useApi(of(run, "topics"), { at });
  const searched = (event) => {
    event.preventDefault();
    const said = Object.fromEntries(new FormData(event.currentTarget));
    go(here({ ...said, ...Object.fromEntries(MOMENTS.map((name) => [name, date(said[name] || null)?.toISOString() ?? null])) }));
  };
  return html`<form class="row controls" role="search" aria-label="Search the log" onSubmit=${searched}>
    <${Field} name="text" label="Text in the event" value=${query.text} wide="wide" />
    <label class="labelled"><span>Topic</span><select class="field" name="topic">
      <option value="">all</option>
      ${(topics.data?.topics ?? []).map(({ topic }) => html`<option key=${topic} value=${topic} selected=${topic === query.topic}>${topic}</option>`)}
    </select></label>
    <${Field} name="key" label="Key" value=${query.key} />
    <${Field} name="header" label="Header (NAME:VALUE)" value=${query.header} />
    ${MOMENTS.map((name) => html`<${Field} key=${name} name=${name} label=${name === "since" ? "From" : "Until"} value=${local(query[name])} type="datetime-local" />`)}
    <button class="button first at-field" type="submit" data-testid="search-go">Search</button>
  </form>`;
}

const Field = ({ name, label, value, type = "search", wide = "" }) =>
  html`<label class="labelled"><span>${label}</span><input class=${`field ${wide}`} type=${type} step=${type === "search" ? null : "1"} name=${name}
    defaultValue=${value ?? ""} autocomplete="off" spellcheck="false" data-testid=${`search-${name}`} /></label>`;

/** A moment as the field of a form has it: in the clock of who reads, without its zone. */
function local(text) {
  const moment = date(text);
  if (!moment) return "";
  return new Date(moment.valueOf() - 60000 * moment.getTimezoneOffset()).toISOString().slice(0, 19);
}

const NOTHING = { events: [], read: 0, next: null, error: null, loading: true };

/** What was found so far; `more` reads on before it. */
function useSearch(run, wanted) {
  const [found, setFound] = useState(NOTHING);
  const abort = useRef(null);
  const read = async (cursor) => {
    const { signal } = (abort.current = new AbortController());
    setFound((before) => ({ ...before, loading: true, error: null }));
    try {
      const page = await get(of(run, "events", "search"), { ...wanted, cursor }, { signal });
      if (signal.aborted) return;
      setFound((before) => ({ events: [...before.events, ...page.events], read: before.read + page.read, next: page.next, error: null, loading: false }));
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      setFound((before) => ({ ...before, error: error.sentence, loading: false }));
    }
  };
  useEffect(() => {
    setFound(NOTHING);
    read(null);
    return () => abort.current?.abort();
  }, [run, asked(wanted)]);
  return { ...found, more: () => read(found.next) };
}
