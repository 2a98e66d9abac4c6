/** How far a run is, whether it is well, and how it came here. */
import { html } from "../../lib/html.js";
import { of, useApi } from "../../lib/api.js";
import { ago, count, counted, interval, known, number, percent } from "../../lib/format.js";
import { Card, Facts } from "../../components/bits.js";
import { Answer, Note } from "../../components/words.js";
import { Asked, Flow, Learning, Stability } from "./charts.js";
import { Control } from "./control.js";
import { HeldOut } from "./held_out.js";
import { Roles } from "./roles.js";
import { Timeline } from "./timeline.js";

export default function Overview({ run, at, live }) {
  const state = useApi(of(run, "state"), { at }, { live });
  const series = useApi(of(run, "series"), { at }, { live });
  const timeline = useApi(of(run, "timeline"), { at }, { live });
  return html`
    <${Answer} of=${state} what="where the run stands">${(data) => html`<${Standing} data=${data} />`}<//>
    <${Answer} of=${timeline} what="the versions">${(data) => html`<${Timeline} run=${run} data=${data} />`}<//>
    <${Answer} of=${series} what="the curves">${(data) => html`
      <${Filling} index=${data.index} />
      ${data.downsampled && html`<${Note} testid="thinned">The curves draw ${count(data.version.length)} of ${count(data.total)} versions.<//>`}
      <${HeldOut} series=${data} />
      ${state.data && html`<${Roles} roles=${state.data.roles} now=${state.data.now} />`}
      <${Learning} series=${data} />
      <${Asked} series=${data} />
      <${Stability} series=${data} />
      <${Flow} series=${data} roles=${state.data?.roles ?? []} />
      ${live && state.data && html`<${Control} run=${run} roles=${state.data.roles} />`}
    `}<//>
  `;
}

function Standing({ data }) {
  const said = data.status;
  const first = said.curve?.[0];
  const facts = [
    {
      name: "held-out accuracy",
      value: html`<span data-testid="held-out">${percent(said.held_out)}</span>`,
      more: said.held_out_interval && `95 %: ${interval(said.held_out_interval)}`,
    },
    { name: "version", value: html`<span data-testid="version">${known(said.version) ? count(said.version) : "none yet"}</span>`, more: data.now && said.published_at && `published ${ago(said.published_at)}` },
    first && { name: "at the start", value: percent(first.held_out), more: `version ${first.version}` },
    { name: "judged", value: count(said.counts?.judgments ?? 0), more: `of ${counted(said.counts?.tasks ?? 0, "task")}` },
    known(said.tokens_per_second) && { name: "speed", value: count(said.tokens_per_second), more: "tokens/s" },
    known(said.versions_per_minute) && { name: "pace", value: number(said.versions_per_minute), more: "versions/min" },
    known(said.staleness?.mean) && { name: "staleness", value: number(said.staleness.mean), more: `versions, at most ${number(said.staleness.max)}` },
    { name: "dead letters", value: count(said.dead?.count) },
  ];
  return html`<${Card} testid="standing" label="Where the run stands">
    <${Facts} facts=${facts.filter(Boolean)} />
    ${said.guard && html`<${Note} kind="warn" testid="guard">The guard ${said.guard.guard}${known(said.guard.version) && `, at version ${said.guard.version}`}: ${said.guard.reason}<//>`}
  <//>`;
}

/** Long logs are read in the background; the curves say how much of them they know. */
const Filling = ({ index }) =>
  index?.ready === false &&
  html`<${Note} testid="filling">The log is still being read: ${count(index.done)} of ${count(index.events)} events. Curves and lists fill up.<//>`;
