/** Where an event is shown: beside the list that it was chosen from. */
import { go, href } from "../../lib/router.js";

/** What says how events are listed. */
const LISTED = ["show", "topic", "partition", "offset", "direction", "limit", "text", "key", "header", "since", "until"];

export const listed = (query) => Object.fromEntries(LISTED.map((name) => [name, query[name] ?? null]));

export const open = (event, query) => go(href("events", { rest: [event.id ?? event.place], query: listed(query) }));
