/** The page: its head, the navigation, the time slider, and the view that the address names. */
import { html, render, useEffect, useErrorBoundary, useRef, useState } from "./lib/html.js";
import { useApi } from "./lib/api.js";
import { go, href, listen, useRoute } from "./lib/router.js";
import { ANY, connection, follow, problems, states } from "./lib/stream.js";
import { useStore } from "./lib/store.js";
import { dress, theme, turn } from "./lib/theme.js";
import { Badge } from "./components/bits.js";
import { TimeSlider } from "./components/slider.js";
import { Empty, Loading, Note } from "./components/words.js";
import { VIEWS, viewNamed } from "./views/views.js";

const KINDS = { running: "good", finished: "good", paused: "warn", stopped: "", idle: "", unreachable: "bad" };

function App() {
  const { run, view, rest, query } = useRoute();
  const found = useApi("/runs", {}, { live: ANY });
  const runs = found.data?.runs ?? [];
  const current = runs.find(({ id }) => id === run) ?? null;
  const shown = viewNamed(view);
  const at = run === null ? null : (query.at ?? null);
  const home = useRef(null);
  home.current = run ?? query.a?.split("@")[0] ?? home.current ?? (runs.length === 1 ? runs[0].id : null);
  const names = run === null ? runs.map(({ id }) => id) : [run];

  useEffect(() => follow(names, { paused: at !== null }), [names.join(), at]);
  useEffect(() => {
    if (found.data) problems.set(Object.fromEntries(runs.filter((one) => one.error).map((one) => [one.id, one.error])));
  }, [found.data]);
  useEffect(() => {
    document.title = [shown?.title, run, "evolvent"].filter(Boolean).join(" · ");
  }, [shown, run]);
  useEffect(() => {
    if (window.location.pathname === "/" && runs.length === 1) go(href("overview", { run: runs[0].id }), { replace: true });
  }, [runs.length]);

  const missing = found.data && run !== null && current === null;
  return html`
    <a class="skip" href="#view" onClick=${(event) => (event.preventDefault(), document.getElementById("view").focus())}>To the view</a>
    <header class="top">
      <${Head} runs=${runs} current=${current} run=${run} view=${view} />
      <${Navigation} run=${home.current} view=${view} />
      ${run !== null && !missing && html`<${TimeSlider} key=${run} run=${run} at=${at} />`}
    </header>
    <main id="view" tabindex="-1" class="stack">
      <${Problems} error=${found.error} run=${run} />
      ${missing
        ? html`<${Empty}>There is no run ${run} here. <a href="/">All runs</a>.<//>`
        : html`<${Shown} key=${`${run}/${view}`} shown=${shown} view=${view} run=${run} at=${at} rest=${rest} query=${query} />`}
    </main>
  `;
}

function Head({ runs, current, run, view }) {
  const worn = useStore(theme);
  const live = useStore(states)[run];
  const state = live?.state ?? current?.state;
  const chosen = (event) => go(href(view === "runs" ? "overview" : view, { run: event.currentTarget.value }));
  return html`<div class="top-row">
    <a class="brand" href="/">evolvent</a>
    ${runs.length > 0 &&
    html`<label class="hidden" for="run">Run</label>
      <select id="run" class="field" data-testid="run" value=${run ?? ""} onChange=${chosen}>
        ${run === null && html`<option value="" disabled>choose a run</option>`}
        ${runs.map(({ id }) => html`<option key=${id} value=${id} selected=${id === run}>${id}</option>`)}
      </select>`}
    ${state && html`<${Badge} kind=${KINDS[state]} testid="state">${state}<//>`}
    <div class="top-end">
      <${Live} />
      <button type="button" class="button quiet" data-testid="theme" onClick=${turn} aria-label=${`To the ${worn === "dark" ? "light" : "dark"} colours`}>
        ${worn === "dark" ? "☀ Light" : "☾ Dark"}
      </button>
    </div>
  </div>`;
}

function Live() {
  const said = useStore(connection);
  const words = { open: "live", away: "server away", closed: "not following" }[said];
  return html`<span role="status" data-testid="live"><${Badge} kind=${said === "open" ? "good" : said === "away" ? "bad" : ""}>${words}<//></span>`;
}

function Navigation({ run, view }) {
  const open = VIEWS.filter(({ scope }) => scope === "all" || run !== null);
  const box = useRef(null);
  useEffect(() => {
    box.current.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [view, run]);
  return html`<nav class="views" aria-label="Views" ref=${box}>
    ${open.map(({ name, title, scope }) => html`<a
      key=${name}
      href=${href(name, scope === "all" ? { run: null, query: name === "compare" ? { a: run } : {} } : { run })}
      aria-current=${name === view ? "page" : null}
      data-testid=${`view-${name}`}
    >${title}</a>`)}
  </nav>`;
}

/** What keeps the page from being true: the server is away, a log cannot be read. */
function Problems({ error, run }) {
  const said = useStore(problems)[run];
  return html`
    ${error && html`<${Note} kind="bad" testid="problem">${error}<//>`}
    ${said && html`<${Note} kind="bad" testid="problem-run">${said} What was known stays; the log is read again.<//>`}
  `;
}

/** The view itself, once its module is there. */
function Shown({ shown, view, run, at, rest, query }) {
  const [View, setView] = useState(null);
  const [missed, setMissed] = useState(null);
  const [broken, mended] = useErrorBoundary((error) => console.error(error));
  const first = useRef(true);
  useEffect(() => {
    if (!shown) return;
    shown.load().then((module) => setView(() => module.default), () => setMissed("This view could not be loaded. Load the page again."));
    if (!first.current) document.getElementById("view").focus({ preventScroll: true });
    first.current = false;
  }, [shown]);
  if (!shown) return html`<${Empty}>There is no view ${view}. <a href="/">All runs</a>.<//>`;
  if (missed) return html`<${Note} kind="bad">${missed}<//>`;
  if (broken) {
    return html`<${Note} kind="bad" testid="broken">This view could not be drawn: ${String(broken.message ?? broken)}
      <button type="button" class="button" onClick=${mended}>Draw it again</button><//>`;
  }
  if (!View) return html`<${Loading} what="the view" />`;
  return html`<${View} run=${run} at=${at} live=${at === null ? run : null} rest=${rest} query=${query} />`;
}

dress();
listen();
render(html`<${App} />`, document.getElementById("page"));
