/**
 * What happens, as it happens: one stream of events for the page, whatever views are open.
 *
 * A message's id is a position of the log, so a stream that broke goes on where it was and nothing is
 * lost. It is closed while the page travels in time or is out of sight; after long it begins anew, at
 * the end of the log, instead of telling all that happened meanwhile.
 */
import { useEffect, useState } from "./html.js";
import { asked } from "./router.js";
import { Store } from "./store.js";

const SIGHT = 20000;
const RETRY = 2000;
const LONG = 120000;

/** "open", "away" (the server does not answer) or "closed". */
export const connection = new Store("closed");
/** The newest `state` message of each run. */
export const states = new Store({});
/** Why a run's log cannot be read, by run. */
export const problems = new Store({});

const listeners = { events: new Set(), moved: new Set(), anew: new Set() };
let source = null;
let wanted = [];
let followed = "";
let held = false;
let last = null;
let closed = 0;
let timer = null;

/** The runs whose events are wanted. `paused`: none for now. */
export function follow(runs, { paused = false } = {}) {
  held = paused;
  const names = [...runs].sort();
  if (names.join() !== wanted.join()) last = null;
  wanted = names;
  settle();
}

function settle() {
  const names = held || hidden ? "" : wanted.map(encodeURIComponent).join();
  if (names === followed) return;
  if (followed) closed = Date.now();
  followed = names;
  close();
  if (!names) return;
  if (last !== null && Date.now() - closed > LONG) {
    last = null;
    for (const run of wanted) tell("anew", run);
  }
  open();
}

function open() {
  source = new EventSource(`/api/v1/stream${asked({ runs: wanted.join(), last })}`);
  source.onopen = () => {
    connection.set("open");
    for (const run of wanted) tell("moved", run);
  };
  source.onerror = () => {
    connection.set("away");
    if (source.readyState === EventSource.CLOSED) again();
  };
  for (const [type, handle] of Object.entries(HANDLERS)) {
    source.addEventListener(type, (message) => {
      last = message.lastEventId || last;
      handle(JSON.parse(message.data));
    });
  }
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
  connection.set("closed");
}

/** A browser gives up where a server answers with an error: this does not. */
function again() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    source?.close();
    open();
  }, RETRY);
}

const HANDLERS = {
  events(message) {
    tell("events", message.run, message);
    tell("moved", message.run);
  },
  state(message) {
    states.set({ ...states.value, [message.run]: message });
    tell("moved", message.run);
  },
  problem(message) {
    problems.set({ ...problems.value, [message.run]: message.error });
  },
  recovered(message) {
    const { [message.run]: _, ...others } = problems.value;
    problems.set(others);
    tell("moved", message.run);
  },
};

/** In place of a run's id: any run. */
export const ANY = "*";

function tell(kind, run, message) {
  for (const [whose, listener] of [...listeners[kind]]) if (whose === run || whose === ANY) listener(message);
}

function listen(kind, run, listener) {
  const entry = [run, listener];
  listeners[kind].add(entry);
  return () => listeners[kind].delete(entry);
}

/** Calls `listener` whenever a run's log has grown; returns what ends that. */
export const whenMoved = (run, listener) => listen("moved", run, listener);

/** The newest `most` events of a run since the part was drawn or the stream began anew, the newest first. */
export function useEvents(run, most = 200) {
  const [events, setEvents] = useState([]);
  useEffect(() => {
    setEvents([]);
    const ends = [
      listen("anew", run, () => setEvents([])),
      listen("events", run, (message) => {
        setEvents((before) => [...message.events].reverse().concat(before).slice(0, most));
      }),
    ];
    return () => ends.forEach((end) => end());
  }, [run, most]);
  return events;
}

let hidden = false;
let hiding = null;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      hidden = true;
      settle();
    }, SIGHT);
  } else {
    hidden = false;
    settle();
  }
});
