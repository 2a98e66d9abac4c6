/**
 * Where in time the page is: one position of a run's log for all its views, kept as `?at=`. Without it
 * the page is at the end of the log and moves on with it.
 */
import { ApiError, get, of, useApi } from "./api.js";
import { go, here, route } from "./router.js";

/** What `--at` takes for "before everything": a position that has nothing of any partition. */
const BEGINNING = "tasks/0=0";

/** Where a run's position is: the answer of `resolve`, as `useApi` gives it. */
export const usePlace = (run, at) => useApi(run === null ? null : of(run, "resolve"), { at }, { live: run });

/** All views to what `at` means; null: back to now. */
export function travel(at, { replace = false } = {}) {
  go(here({ at }), { replace });
}

/** The steps of a slider, of which only the newest that was asked for counts. */
export class Steps {
  #abort = null;

  /** Travels to a step of `steps`. Resolves to a sentence where there is no such position. */
  async to(run, step, steps) {
    this.#abort?.abort();
    if (step >= steps) return void travel(null);
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    try {
      const found = await get(of(run, "resolve"), { step }, { signal });
      if (!signal.aborted) travel(named(found), { replace: route.value.query.at !== undefined });
    } catch (error) {
      if (error instanceof ApiError) return error.sentence;
      if (error.name !== "AbortError") throw error;
    }
    return null;
  }
}

/** The shortest way to say a position: its version where it stands just after one. */
const named = ({ at, text, step, version }) => (step === 0 ? text || BEGINNING : at || (version ?? text));
