/** Questions to the server: an answer, or one sentence why there is none; what failed is asked again. */
import { useEffect, useRef, useState } from "./html.js";
import { asked } from "./router.js";
import { whenMoved } from "./stream.js";

const ROOT = "/api/v1";
const PAUSE = 1000;
const PATIENCE = 10000;

/** `sentence` is for people; `lasting`: asking again will not help. */
export class ApiError extends Error {
  constructor(sentence, lasting) {
    super(sentence);
    this.sentence = sentence;
    this.lasting = lasting;
  }
}

async function answered(address, options) {
  let answer;
  try {
    answer = await fetch(address, { headers: { Accept: "application/json" }, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The dashboard's server does not answer; it is asked again.", false);
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok && body !== null) return body;
  const sentence = body?.error ?? `The server answered with ${answer.status} to ${address}.`;
  throw new ApiError(sentence, answer.status >= 400 && answer.status < 500);
}

/** The JSON at `path` below the API. Raises `ApiError`. */
export const get = (path, query = {}, { signal } = {}) => answered(ROOT + path + asked(query), { signal });

/** Sends JSON, as the server demands it of what changes something. Raises `ApiError`. */
export const send = (method, path, body) =>
  answered(ROOT + path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

/** The path of a run below the API, and of what is in it. */
export const of = (run, ...rest) => ["/runs", run, ...rest].map((part, at) => (at ? encodeURIComponent(part) : part)).join("/");

/**
 * What the API answers at `path` (null: nothing is asked), asked again when `query` changes, when it
 * failed, and with `live` (a run's id) when that run has moved on. `data` stays while it is asked again.
 */
export function useApi(path, query = {}, { live = null } = {}) {
  const [found, setFound] = useState({ path: null, data: null, error: null, loading: true });
  const [again, setAgain] = useState(0);
  const asking = useRef(null);
  const key = path === null ? null : path + asked(query);

  useEffect(() => {
    if (path === null) return undefined;
    const asker = new Asker(path, query, setFound);
    asking.current = asker;
    asker.ask();
    const unwatch = live === null || query.at ? () => {} : whenMoved(live, () => asker.moved());
    return () => {
      unwatch();
      asker.end();
    };
  }, [key, live, again]);

  const current = found.path === path ? found : { data: null, error: null, loading: path !== null };
  return { ...current, reload: () => setAgain((times) => times + 1) };
}

/** Asks one question for as long as a part of the page wants to know it, never twice at once. */
class Asker {
  constructor(path, query, told) {
    this.path = path;
    this.query = query;
    this.told = told;
    this.abort = new AbortController();
    this.timer = null;
    this.busy = false;
    this.stale = false;
    this.wait = PAUSE;
  }

  async ask() {
    this.busy = true;
    this.stale = false;
    this.told((before) =>
      before.path === this.path ? { ...before, loading: true } : { path: this.path, data: null, error: null, loading: true },
    );
    const start = performance.now();
    try {
      const data = await get(this.path, this.query, { signal: this.abort.signal });
      if (this.abort.signal.aborted) return;
      this.told({ path: this.path, data, error: null, loading: false });
      this.wait = Math.min(PATIENCE, Math.max(PAUSE, 4 * (performance.now() - start)));
    } catch (error) {
      if (this.abort.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.told((before) => ({ ...before, path: this.path, error: error.sentence, loading: false }));
      this.wait = Math.min(PATIENCE, 2 * this.wait);
      this.stale = this.stale || !error.lasting;
    } finally {
      this.busy = false;
    }
    if (this.stale) this.later();
  }

  moved() {
    this.stale = true;
    if (!this.busy) this.later();
  }

  later() {
    if (this.timer !== null || this.abort.signal.aborted) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      if (!this.busy) this.ask();
    }, this.wait);
  }

  end() {
    clearTimeout(this.timer);
    this.abort.abort();
  }
}
