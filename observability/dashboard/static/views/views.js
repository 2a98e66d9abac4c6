/**
 * Every view, in the order of the navigation. A view is a module whose default export is a component of
 * {run, at, live, rest, query}; it is loaded when it is first opened. `scope`: "run", a view of one run
 * at a position; or "all", of no single run.
 */
export const VIEWS = [
  { name: "runs", title: "Runs", scope: "all", load: () => import("./runs/runs.js") },
  { name: "overview", title: "Overview", scope: "run", load: () => import("./overview/overview.js") },
  { name: "tasks", title: "Tasks", scope: "run", load: () => import("./tasks/tasks.js") },
  { name: "versions", title: "Versions", scope: "run", load: () => import("./versions/versions.js") },
  { name: "events", title: "Events", scope: "run", load: () => import("./events/events.js") },
  { name: "agents", title: "Agents", scope: "run", load: () => import("./agents/agents.js") },
  { name: "compare", title: "Compare", scope: "all", load: () => import("./compare/compare.js") },
];

export const viewNamed = (name) => VIEWS.find((view) => view.name === name);
