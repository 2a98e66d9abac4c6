/** A long list of the API, page by page: the next one is asked for when a person comes near the end. */
import { useEffect, useRef, useState } from "./html.js";
import { ApiError, get, useApi } from "./api.js";
import { asked } from "./router.js";

/**
 * The list `name` at `path`: {rows, total, data, error, loading, more, newer, reload}. With `live` it
 * stays new while one page is enough; beyond, `newer` says that there is more at its top.
 */
export function usePages(path, query, name, { live = null, limit = 100 } = {}) {
  const first = useApi(path, { ...query, limit }, { live });
  const key = path === null ? null : path + asked(query);
  const [rest, setRest] = useState(NOTHING);
  const busy = useRef(false);
  const kept = useRef(null);

  useEffect(() => {
    setRest(NOTHING);
    kept.current = null;
  }, [key]);

  const base = kept.current ?? first.data;
  const next = rest.rows.length > 0 ? rest.next : base?.next;
  const more = async () => {
    if (busy.current || !next) return;
    busy.current = true;
    kept.current = base;
    try {
      const page = await get(path, { ...query, limit, cursor: next });
      setRest((before) => ({ rows: [...before.rows, ...page[name]], next: page.next, error: null }));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setRest((before) => ({ ...before, error: error.sentence }));
    } finally {
      busy.current = false;
    }
  };
  const reload = () => {
    kept.current = null;
    setRest(NOTHING);
    first.reload();
  };
  return {
    data: base,
    rows: base ? [...base[name], ...rest.rows] : [],
    total: base?.total ?? null,
    error: first.error ?? rest.error,
    loading: first.loading,
    newer: kept.current !== null && first.data !== null && first.data.total > kept.current.total,
    more,
    reload,
  };
}

const NOTHING = { rows: [], next: null, error: null };
