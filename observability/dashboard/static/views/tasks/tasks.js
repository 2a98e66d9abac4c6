/** The tasks of a run: a list that filters, or one task with all that came of it. */
import { html } from "../../lib/html.js";
import { TaskList } from "./list.js";
import { TaskPage } from "./task.js";

export default function Tasks({ run, at, live, rest, query }) {
  return rest.length > 0
    ? html`<${TaskPage} key=${rest[0]} run=${run} at=${at} live=${live} id=${rest[0]} query=${query} />`
    : html`<${TaskList} run=${run} at=${at} live=${live} query=${query} />`;
}
