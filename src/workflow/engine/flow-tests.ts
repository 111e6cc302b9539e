import { parse } from 'yaml';
import { closestName } from '../../kernel/closest-name.ts';
import type { CloudEvent } from '../../kernel/cloudevent.ts';
import { readDocument } from '../../kernel/document.ts';
import { parseDuration } from '../../kernel/duration.ts';
import { AiosError, describeIssue } from '../../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { compileSchema } from '../../kernel/schema.ts';
import { type Lane, write } from '../../store/lane.ts';
import type { WorkflowEngine } from './engine.ts';
import { type CaseStore, type FlowCase, FlowCaseRun } from './flow-case.ts';
import { MemoryRunStore } from './memory-store.ts';

/** A test in `tests/*.yaml` of a project: a case of one of its flows, and what is to come of it. Only what is named is compared. */
interface FlowTest extends Omit<FlowCase, 'flow'> {
  /** The flow of the project that it is about. */
  readonly workflow: string;
  /** Business time at the start, ISO 8601. */
  readonly startsAt?: string;
  readonly output?: Json;
  /** Members of the error that the run ends with. */
  readonly fails?: JsonObject;
  /** What is called, in order: `[name, with]`. */
  readonly calls?: Json[];
  /** Members of the events that are emitted, in order. */
  readonly emits?: Json[];
  /** Business time from start to end. */
  readonly took?: string;
  /** Keys of the steps, in the order in which they were gone through. */
  readonly steps?: string[];
}

/** What came of a test; it has passed when there is no fault. */
export interface FlowTestReport {
  file: string;
  name: string;
  workflow: string;
  faults: string[];
  /** Keys of the steps that the run went through. */
  steps: string[];
  /** Measured, milliseconds. */
  tookMs: number;
}

/** Functions of the specification, as the catalog calls them. */
const SPECIFIED = [
  'http',
  'http-read',
  'openapi',
  'openapi-read',
  'grpc',
  'asyncapi',
  'mcp',
  'a2a',
  'a2a-read',
];
const text = { type: 'string' };
const list = { type: 'array' };
const object = { type: 'object' };
/** A member that nobody reads would be a test that cannot fail. */
const validateTests = compileSchema({
  type: 'array',
  minItems: 1,
  items: {
    ...object,
    required: ['name', 'workflow'],
    additionalProperties: false,
    properties: {
      ...{ name: text, workflow: text, startsAt: text, took: text },
      ...{ input: true, event: object, flows: object, resources: object, events: list },
      mocks: {
        ...object,
        additionalProperties: {
          ...list,
          minItems: 1,
          items: {
            ...object,
            minProperties: 1,
            additionalProperties: false,
            properties: { output: true, error: object, never: text, ended: text },
          },
        },
      },
      ...{ output: true, fails: object, calls: list, emits: list, steps: list },
    },
  },
});
/** A text that a fault quotes is cut there. */
const QUOTED_CHARS_MAX = 200;
const START = '2026-01-01T00:00:00Z';

/**
 * Runs the tests of a project's flows on the memory engine: no database, nothing outside is called, no time passes.
 *
 * @param files of the project folder, by their path in it; those of `workflows/` and `tests/` count
 * @throws AiosError `definition.invalid` when a file cannot be read
 * @example await testFlows([{ path: 'workflows/returns.yaml', text }, { path: 'tests/returns.yaml', text }])
 */
export async function testFlows(files: readonly { path: string; text: string }[]): Promise<FlowTestReport[]> {
  const flows: { [name: string]: JsonObject } = {};
  for (const { path, text } of files.filter((file) => /^workflows\/.*\.ya?ml$/.test(file.path))) {
    const { value } = readDocument(text, path);
    const { document } = value;
    if (isObject(document)) flows[String(document.name)] = value;
  }
  const reports: FlowTestReport[] = [];
  for (const { path, text } of files.filter((file) => /^tests\/.*\.ya?ml$/.test(file.path))) {
    for (const test of testsOf(path, text)) reports.push(await runTest(path, test, flows));
  }
  return reports;
}

function testsOf(path: string, text: string): FlowTest[] {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new AiosError('definition.invalid', {
      issues: [{ path: '', message: (error as Error).message, file: path }],
    });
  }
  const issues = validateTests(value).map((issue) => ({ ...issue, file: path }));
  if (issues.length > 0) throw new AiosError('definition.invalid', { issues });
  return value as FlowTest[];
}

async function runTest(
  file: string,
  test: FlowTest,
  flows: { [name: string]: JsonObject },
): Promise<FlowTestReport> {
  const { name, workflow, startsAt = START } = test;
  const report: FlowTestReport = { file, name, workflow, faults: [], steps: [], tookMs: 0 };
  const fromMs = performance.now();
  const flow = flows[workflow];
  if (!flow) {
    report.faults.push(
      `there is no flow “${workflow}” in workflows/; there are ${Object.keys(flows).join(', ') || 'none'}`,
    );
    return report;
  }
  const { [workflow]: _, ...others } = flows;
  const calls = [
    ...new Set([
      ...SPECIFIED.map((called) => `${called}:1`),
      ...[flow, ...Object.values(others)].flatMap(callsOf),
    ]),
  ];
  const tested = new FlowCaseRun({ ...test, flow, flows: others }, memory(), {
    startMs: Date.parse(startsAt),
    calls,
  });
  try {
    const { run, tookMs } = await tested.run();
    const { steps } = await tested.engine.runs.get(run.id);
    report.steps = steps.map(({ key }) => key);
    report.faults = faultsOf(test, {
      ...run.result,
      calls: tested.calls,
      emits: tested.emitted,
      tookMs,
      steps: report.steps,
    });
    report.faults.push(...(await unasked(test, tested.engine, Object.keys(flows), calls)));
    for (const { step, called } of tested.unanswered) {
      report.faults.push(
        `${step} calls ${called}, and the test has no answer for it: mocks: { ${step}: [ { output: … } ] }`,
      );
    }
  } catch (error) {
    report.faults.push(...told(error));
  }
  report.tookMs = Math.round(performance.now() - fromMs);
  return report;
}

/** Answers under names that no step and no call has, of the flow and those that it may run: nobody asks for them. */
async function unasked(
  { mocks = {} }: FlowTest,
  engine: WorkflowEngine,
  flows: readonly string[],
  calls: readonly string[],
): Promise<string[]> {
  const graphs = await Promise.all(flows.map((name) => engine.runs.graph(name)));
  const steps = graphs.flatMap(({ graph }) => graph.nodes.map(({ id }) => id));
  const known = [...steps, ...calls.map((called) => called.replace(/:.*$/, ''))];
  return Object.keys(mocks)
    .filter((name) => !known.includes(name))
    .map((name) => {
      const meant = closestName(name, known);
      return `mocks: “${name}” is no step of the flow, and nothing that it calls${meant ? `; did you mean ${meant}?` : ''}`;
    });
}

function told(error: unknown): string[] {
  if (error instanceof AiosError && error.issues.length > 0) return error.issues.map(describeIssue);
  return [(error as Error).message];
}

/** `name:version` of every function of a catalog that a flow calls. */
function callsOf(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap(callsOf);
  if (!isObject(value)) return [];
  const { call } = value;
  const own =
    typeof call === 'string' && call.endsWith('@default') ? [call.slice(0, -'@default'.length)] : [];
  return [...own, ...Object.values(value).flatMap(callsOf)];
}

function memory(): CaseStore {
  const store = new MemoryRunStore();
  const taken: Lane<CloudEvent> = { name: 'emitted', order: 30, write: async () => undefined };
  return {
    open: () => store,
    transaction: (work) => store.transaction(work),
    emit: (event) => write(taken, event),
  };
}

interface Outcome {
  output?: Json;
  error?: object;
  calls: unknown;
  emits: unknown;
  tookMs: number;
  steps: string[];
}

function faultsOf(test: FlowTest, got: Outcome): string[] {
  const { output, fails, calls, emits, took, steps } = test;
  const faults: string[] = [];
  if (fails) {
    if (got.error) faults.push(...differences('fails', fails, got.error as JsonObject, true));
    else faults.push(`fails: the run completed instead, with ${quoted(got.output)}`);
  } else if (got.error) {
    const { title, detail, instance } = got.error as { title?: string; detail?: string; instance?: string };
    faults.push(`the run failed at ${instance ?? 'its start'}: ${detail ?? title}`);
  } else if (output !== undefined) faults.push(...differences('output', output, got.output, false));
  if (calls) faults.push(...differences('calls', calls, got.calls as Json, false));
  if (emits) faults.push(...differences('emits', emits, got.emits as Json, true));
  if (steps) faults.push(...differences('steps', steps, got.steps, false));
  if (took !== undefined && parseDuration(took) !== got.tookMs) {
    faults.push(`took: expected ${took}, got ${got.tookMs / 1000} s`);
  }
  return faults;
}

/** Where two values differ, by path. With `partial` members that are not expected are let pass. */
function differences(path: string, expected: Json, got: Json | undefined, partial: boolean): string[] {
  if (Array.isArray(expected) && Array.isArray(got)) {
    const length = Math.max(expected.length, got.length);
    return Array.from({ length }, (_, index) =>
      differencesAt(`${path}/${index}`, expected[index], got[index], partial),
    ).flat();
  }
  if (isObject(expected) && isObject(got)) {
    const names = Object.keys(partial ? expected : { ...expected, ...got });
    return names.flatMap((name) => differencesAt(`${path}/${name}`, expected[name], got[name], partial));
  }
  return expected === got ? [] : [`${path}: expected ${quoted(expected)}, got ${quoted(got)}`];
}

function differencesAt(
  path: string,
  expected: Json | undefined,
  got: Json | undefined,
  partial: boolean,
): string[] {
  if (expected === undefined) return [`${path}: expected nothing, got ${quoted(got)}`];
  return differences(path, expected, got, partial);
}

function quoted(value: Json | undefined): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}…` : text;
}
