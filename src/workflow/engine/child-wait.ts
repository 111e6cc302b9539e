import type { Json } from '../../kernel/json.ts';
import { Abandoned, FlowError } from '../catalog/flow-errors.ts';
import type { FlowReference } from '../language/flow.ts';
import type { LiveBranch } from './branch.ts';
import type { Execution } from './execution.ts';
import type { ExecutionHost } from './execution-host.ts';
import { CHILD } from './waiters.ts';

/** Starts a run of another flow, once, and waits for its end unless nobody wants to know of it. */
export async function childOf(
  execution: Execution,
  host: ExecutionHost,
  { key, workflow, input, wait }: { key: string; workflow: FlowReference; input: Json; wait: boolean },
  branch: LiveBranch,
): Promise<Json> {
  const { recorder } = execution;
  if (branch.abandoned) throw new Abandoned();
  const openKey = `${key}^open`;
  let opened = recorder.find(openKey);
  if (!opened) {
    const flow = await host.deps.flows.referred(workflow);
    if (branch.abandoned) throw new Abandoned();
    opened = { k: openKey, s: host.nowMs(), o: host.startChild(execution, key, flow, input, wait) };
    recorder.record(opened);
    host.flushSoon(execution);
  }
  const s = opened.s ?? 0;
  if (!wait) {
    recorder.record({ k: key, s, d: 0, o: { runId: opened.o ?? null } });
    return { runId: opened.o ?? null };
  }
  const close = () => host.cancelChild(String(opened.o));
  const outcome = await execution.waiters.wait({ key, label: CHILD, branch, close });
  const { output, error } = (outcome.kind === 'signal' ? outcome.payload : {}) as {
    output?: Json;
    error?: FlowError['body'];
  };
  const d = host.nowMs() - s;
  // The place that it names is one of the other flow's definition: here it is that of the step that runs it.
  if (error) delete error.instance;
  recorder.record(error ? { k: key, s, d, e: error } : { k: key, s, d, o: output ?? null });
  if (error) throw new FlowError(error);
  return output ?? null;
}
