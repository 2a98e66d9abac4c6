/**
 * The address bar as state: every view is a URL.
 *
 *     /                              the runs
 *     /runs/RUN/VIEW?at=12           a view of a run, at a position of its log
 *     /runs/RUN/versions/12          the same, of one thing in it
 *     /compare?a=...&b=...           what is of no single run
 */
import { Store, useStore } from "./store.js";

const STAYS = "at";

function parse(location) {
  const parts = location.pathname.split("/").filter(Boolean).map(decoded);
  const query = Object.fromEntries(new URLSearchParams(location.search));
  if (parts[0] === "runs" && parts.length > 1) {
    const [, run, view = "overview", ...rest] = parts;
    return { run, view, rest, query };
  }
  return { run: null, view: parts[0] ?? "runs", rest: parts.slice(1), query };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const route = new Store(parse(window.location));

export function useRoute() {
  return useStore(route);
}

/**
 * The address of a view. The position in time stays as it is unless `query` names `at` (null: now);
 * what is null, undefined or "" in `query` is left out. `run: null` is a view of no single run.
 */
export function href(view, { run = route.value.run, rest = [], query = {} } = {}) {
  const parts = [].concat(rest).map((part) => `/${encodeURIComponent(part)}`);
  const path = run === null ? `/${view}` : `/runs/${encodeURIComponent(run)}/${view}${parts.join("")}`;
  const kept = run !== null && run === route.value.run ? { [STAYS]: route.value.query[STAYS] } : {};
  return path + asked({ ...kept, ...query });
}

/** The address of what is seen now, with some of its query set otherwise (null: left out). */
export function here(query) {
  return window.location.pathname + asked({ ...route.value.query, ...query });
}

export function asked(query) {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [].concat(value)) {
      if (one !== null && one !== undefined && one !== "") said.append(name, String(one));
    }
  }
  const text = said.toString();
  return text ? `?${text}` : "";
}

/** Goes to an address of this page. `replace`: without a step in the browser's history. */
export function go(address, { replace = false } = {}) {
  if (address === window.location.pathname + window.location.search) return;
  window.history[replace ? "replaceState" : "pushState"](null, "", address);
  moved();
}

function moved() {
  route.set(parse(window.location));
}

function clicked(event) {
  const anchor = event.target.closest?.("a[href]");
  if (!anchor || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (anchor.target || anchor.hasAttribute("download") || anchor.origin !== window.location.origin) return;
  const path = anchor.pathname;
  if (path.startsWith("/api/") || path.startsWith("/static/") || anchor.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  go(path + anchor.search);
}

/** Links of this page change the view instead of loading the page again. */
export function listen() {
  window.addEventListener("popstate", moved);
  document.addEventListener("click", clicked);
}
