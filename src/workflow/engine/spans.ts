import {
  type Context,
  context,
  metrics,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import type { FlowErrorBody } from '../catalog/flow-errors.ts';
import type { RunStatus } from './stored-run.ts';

const tracer = trace.getTracer('aios.workflow');
const meter = metrics.getMeter('aios.workflow');
const runsEnded = meter.createObservableCounter('aios.workflow.runs', {
  unit: '{run}',
  description: 'runs that ended in this process',
});
const runsDeleted = meter.createCounter('aios.workflow.runs.deleted', {
  description: 'Runs that were over their retention',
});
/** Counted here and told when somebody reads: the library sorts and joins the attributes at each addition, 1 KB for each run. */
const ended = new Map<string, { attributes: { workflow: string; status: string }; count: number }>();
runsEnded.addCallback((result) => {
  for (const { attributes, count } of ended.values()) result.observe(count, attributes);
});

export function countRun(workflow: string, status: RunStatus): void {
  const key = `${status} ${workflow}`;
  const known = ended.get(key);
  if (known) known.count++;
  else ended.set(key, { attributes: { workflow, status }, count: 1 });
}

export function countDeleted(runs: number): void {
  runsDeleted.add(runs);
}

/** The spans of a run that is traced: one for its time in memory, one inside it for each step. */
export interface RunTrace {
  /** Performs a step in a span of its own; what it calls is traced inside. */
  step<T>(key: string, primitive: string, perform: () => Promise<T>): Promise<T>;
  end(error?: FlowErrorBody): void;
}

/**
 * Begins to trace a run if somebody asked for it: the event that started it carries a sampled `traceparent` (W3C Trace Context), or the caller's
 * span is recorded. `undefined` otherwise, which costs nothing.
 */
export function traceRun(
  runId: string,
  workflow: string,
  version: number,
  traceparent: string | undefined,
): RunTrace | undefined {
  const parent = traceparent === undefined ? callersContext() : remoteContext(traceparent);
  if (!parent) return undefined;
  const span = tracer.startSpan(
    `workflow ${workflow}`,
    { attributes: { 'aios.run.id': runId, 'aios.workflow.version': version } },
    parent,
  );
  if (!span.isRecording()) return undefined;
  const inside = trace.setSpan(parent, span);
  return {
    step: (key, primitive, perform) => traceStep(inside, key, primitive, perform),
    end: (error) => finish(span, error?.detail ?? error?.title),
  };
}

function callersContext(): Context | undefined {
  return trace.getActiveSpan()?.isRecording() ? context.active() : undefined;
}

function remoteContext(traceparent: string): Context | undefined {
  const match = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent);
  if (!match) return undefined;
  const traceFlags = Number.parseInt(match[3]!, 16);
  if ((traceFlags & TraceFlags.SAMPLED) === 0) return undefined;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: match[1]!,
    spanId: match[2]!,
    traceFlags,
    isRemote: true,
  });
}

async function traceStep<T>(
  parent: Context,
  key: string,
  primitive: string,
  perform: () => Promise<T>,
): Promise<T> {
  const span = tracer.startSpan(`step ${primitive}`, { attributes: { 'aios.step.key': key } }, parent);
  try {
    const result = await context.with(trace.setSpan(parent, span), perform);
    finish(span, undefined);
    return result;
  } catch (error) {
    finish(span, error instanceof Error ? error.message : String(error));
    throw error;
  }
}

function finish(span: Span, failure: string | undefined): void {
  if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
  span.end();
}
