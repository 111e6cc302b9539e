import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { NewVersion } from '../../models/candidate.ts';
import type { Models } from '../../models/models.ts';
import type { RuntimeKind, RuntimeKinds } from '../../models/runtime-kind.ts';
import type { LanguageModels } from '../../serving/chat/language-models.ts';
import { splitReference } from '../../serving/chat/reference.ts';
import { tensorsOf, valuesOf } from '../../serving/protocol/tensor-values.ts';
import {
  createWorkflowRuntime,
  type OpenFlow,
  WORKFLOW_ENDPOINT,
} from '../../serving/runtimes/workflow-runtime.ts';
import type { Serving } from '../../serving/traffic/serving.ts';
import type { Definition, Definitions } from '../../store/definitions.ts';
import { type Write, write } from '../../store/lane.ts';
import { type DecidePort, decidePrimitive } from '../../workflow/catalog/decide.ts';
import { type FeaturesPort, featuresPrimitive } from '../../workflow/catalog/features.ts';
import { type InferPort, inferPrimitive } from '../../workflow/catalog/infer.ts';
import { languageModelPrimitives } from '../../workflow/catalog/language-models.ts';
import { type Catalog, catalogOf } from '../../workflow/catalog/primitive.ts';
import { InlineFlow } from '../../workflow/engine/inline-flow.ts';
import { type AskedModel, askedModels, changingStep } from '../../workflow/engine/inline-steps.ts';
import type { Ground } from './ground.ts';

/** What flows ask when they answer in memory. */
interface Asked {
  readonly catalog: Catalog;
  readonly models: Registry;
  readonly serving: Serving;
  readonly features: FeaturesPort;
  readonly decisions: DecidePort;
  readonly languageModels: Pick<LanguageModels, 'complete' | 'embed'>;
}

type Registry = Pick<Models, 'resolve'>;
type Flows = Pick<Definitions, 'latest' | 'version'>;

/** Serving as flows ask it: tensors are nested lists there. */
export function inferPort(models: Registry, serving: Serving): InferPort {
  return {
    score: (call) => serving.score(call),
    async infer({ inputs, ...call }) {
      const { signature } = models.resolve(call.model, call.ref);
      const answer = await serving.infer({ ...call, inputs: tensorsOf(signature.inputs, inputs) });
      return { ...answer, outputs: valuesOf(answer.outputs) };
    },
  };
}

/** The runtime `workflow`: models that are flows over other models. What they ask is handed in by `connect` before the first is opened. */
export function createEnsembles(
  { clock, limits, functions }: Pick<Ground, 'clock' | 'limits' | 'functions'>,
  definitions: Flows,
  others: RuntimeKinds,
) {
  let asked: Asked | undefined;
  let catalog: Catalog = new Map();
  const own: ReadonlySet<string> = new Set(functions.map(({ name }) => name));
  const known = new Map<string, InlineFlow>();
  const compiled = (body: JsonObject) => new InlineFlow({ body }, { catalog, own, clock, limits });
  const load = async (endpoint: JsonObject): Promise<InlineFlow> => {
    const { body, digest } = await definitionOf(definitions, endpoint);
    const flow = known.get(digest) ?? compiled(body);
    known.set(digest, flow);
    return flow;
  };
  const kind: RuntimeKind = {
    endpoint: WORKFLOW_ENDPOINT,
    references: ({ flow }) => [{ kind: 'workflow', name: String(flow), path: '/flow' }],
    settle: (endpoint) => settled(definitions, endpoint),
    checkFit: (model, { flow }, find) =>
      checkApplied([model], String(flow), {
        find,
        compiled,
        isThere: (name) => isRegistered(asked!.models, name),
      }),
  };
  const runtime = createWorkflowRuntime({
    async open(name, endpoint): Promise<OpenFlow> {
      const flow = await load(endpoint);
      const { models, serving } = asked!;
      const parts = askedModels(flow.flow);
      await refuseCircle(name, flow, [name], models, load);
      for (const { path, name: model, ref } of parts) if (model) resolved(models, path, model, ref);
      // Warm before the first request: not all of them are asked by a warm-up.
      await Promise.all(
        parts.flatMap(({ name: model, ref, isTensors }) =>
          model && isTensors ? [serving.load(model, ref)] : [],
        ),
      );
      const changesBy = await changing(flow, models, load);
      return {
        get isReady() {
          return parts.every(({ name: model, ref }) => !model || isRegistered(models, model, ref));
        },
        changesBy,
        begin: (input, call, deadlineAtMs) => flow.begin(input, call, deadlineAtMs),
      };
    },
  });
  return {
    /** The kinds of all runtimes, that of ensembles with what their flows say. */
    kinds: { ...others, workflow: kind },
    runtime,
    connect(given: Asked) {
      asked = given;
      catalog = new Map([...given.catalog, ...catalogInMemory(given)]);
    },
  };
}

/** Nothing is written for a step: costs are told with the answer, decisions by the versions that it names. Language models commit what they cost. */
function catalogInMemory({ features, models, serving, decisions, languageModels }: Asked): Catalog {
  const unwritten: Write = write({ name: 'nothing', order: 0, write: async () => undefined }, null);
  return catalogOf([
    featuresPrimitive(features),
    inferPrimitive(inferPort(models, serving), () => unwritten),
    decidePrimitive(decisions, () => unwritten),
    ...languageModelPrimitives({
      complete: ({ step: _, ...call }) => languageModels.complete(call),
      embed: ({ step: _, ...call }) => languageModels.embed(call),
    }),
  ]);
}

/** A version without a number is the newest, from now on. */
function settled(definitions: Flows, endpoint: JsonObject): JsonObject {
  const newest = definitions.latest('workflow', String(endpoint.flow));
  if (!newest || (endpoint.version !== undefined && endpoint.version !== newest.version)) return endpoint;
  return { digest: newest.digest, ...endpoint, version: newest.version };
}

async function definitionOf(definitions: Flows, { flow, version, digest }: JsonObject): Promise<Definition> {
  const found =
    typeof version === 'number'
      ? await definitions.version('workflow', String(flow), version)
      : definitions.latest('workflow', String(flow));
  const refused = (detail: string) => new AiosError('models.endpoint_refused', { detail });
  if (!found)
    throw refused(`there is no flow “${flow}”${version === undefined ? '' : `, version ${version}`}`);
  if (digest === undefined || digest === found.digest) return found;
  throw refused(`version ${version} of the flow “${flow}” has the digest ${found.digest}, not ${digest}`);
}

interface AppliedTogether {
  readonly find: Parameters<NonNullable<RuntimeKind['checkFit']>>[2];
  compiled(body: JsonObject): InlineFlow;
  isThere(model: string): boolean;
}

/**
 * A flow before it is applied, with those of the models that it asks and that are applied with it. What is registered already is followed at the
 * registration, with the versions that its aliases mean.
 *
 * @param trail of models, the one that is to be first
 * @throws AiosError `models.flow_needs_run`, `models.flow_cycle`, `definition.reference`
 */
function checkApplied(trail: readonly string[], flow: string, applied: AppliedTogether): void {
  const body = applied.find('workflow', flow);
  if (!body) return; // its own definition says so
  for (const { path, name } of askedModels(placed(flow, () => applied.compiled(body)).flow)) {
    if (name === undefined) continue;
    const further = [...trail, name];
    if (name === trail[0])
      throw new AiosError('models.flow_cycle', { issues: [{ path: '/flow', message: further.join(' → ') }] });
    if (trail.includes(name) || applied.isThere(name)) continue;
    const inner = applied.find('model', splitReference(name)[0]);
    if (!inner) {
      const message = `the flow “${flow}” asks for the model “${name}”, which is not there (${path})`;
      throw new AiosError('definition.reference', { issues: [{ path: '/flow', message }] });
    }
    if (inner.runtime === 'workflow')
      checkApplied(further, String((inner.endpoint as JsonObject).flow), applied);
  }
}

/** What is wrong with a flow, told in the definition that names it. */
function placed<T>(flow: string, compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    const issues = error.issues.map(({ path, message, expected }) => ({
      path: '/flow',
      message: `the flow “${flow}”, ${path}: ${message}`,
      ...(expected && { expected }),
    }));
    throw new AiosError(error.code, { issues, cause: error });
  }
}

/** Follows what ensembles ask as far as aliases stand now. @throws AiosError `models.flow_cycle` */
async function refuseCircle(
  own: string,
  flow: InlineFlow,
  trail: readonly string[],
  models: Registry,
  load: (endpoint: JsonObject) => Promise<InlineFlow>,
): Promise<void> {
  for (const { name, ref, isTensors } of askedModels(flow.flow)) {
    if (!name || !isTensors) continue;
    const further = [...trail, name];
    if (name === own)
      throw new AiosError('models.flow_cycle', { detail: `It would ask itself: ${further.join(' → ')}.` });
    if (trail.includes(name)) continue;
    const inner = isRegistered(models, name, ref) ? models.resolve(name, ref) : undefined;
    if (inner?.runtime === 'workflow')
      await refuseCircle(own, await load(inner.endpoint!), further, models, load);
  }
}

/** Why an ensemble may answer the same input otherwise a moment later; nothing when all it asks is fixed to a version. */
async function changing(
  flow: InlineFlow,
  models: Registry,
  load: (endpoint: JsonObject) => Promise<InlineFlow>,
): Promise<string | undefined> {
  const step = changingStep(flow.flow);
  if (step) return step;
  for (const { path, name, ref } of askedModels(flow.flow)) {
    if (!name || ref === undefined) return `${path} asks what an expression says`;
    if (!/^\d+$/.test(String(ref))) return `${path} asks ${name}@${ref}, an alias`;
    const inner = models.resolve(name, ref);
    const within =
      inner.runtime === 'workflow' && (await changing(await load(inner.endpoint!), models, load));
    if (within) return `${path}: ${within}`;
  }
  return undefined;
}

function resolved(models: Registry, path: string, model: string, ref: AskedModel['ref']): void {
  const [name, alias] = splitReference(model);
  try {
    models.resolve(name, alias ?? ref);
  } catch (error) {
    throw new AiosError('models.endpoint_refused', { detail: `${path}: ${(error as Error).message}` });
  }
}

function isRegistered(models: Registry, model: string, ref?: AskedModel['ref']): boolean {
  const [name, alias] = splitReference(model);
  try {
    models.resolve(name, alias ?? ref);
    return true;
  } catch {
    return false;
  }
}

/** Models that are applied together: those that are asked come before those that ask. */
export function inOrderOfAsking<M extends { readonly wanted: NewVersion }>(
  changed: readonly M[],
  definitions: Flows,
): M[] {
  const byName = new Map(changed.map((model) => [model.wanted.name, model]));
  const ordered = new Set<M>();
  const visit = (model: M, trail: readonly M[]): void => {
    if (trail.includes(model)) return; // a circle: its registration says so
    const flow = definitions.latest('workflow', String(model.wanted.endpoint?.flow))?.body ?? {};
    const text = JSON.stringify(flow);
    for (const [name, other] of byName)
      if (other !== model && text.includes(JSON.stringify(name))) visit(other, [...trail, model]);
    ordered.add(model);
  };
  for (const model of changed) visit(model, []);
  return [...ordered];
}
