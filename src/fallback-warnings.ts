import { locateIssue } from './kernel/document.ts';
import { AiosError, describeIssue, type Issue } from './kernel/errors.ts';
import type { ModelDefinition } from './models/model-kind.ts';
import type { Models, ResolvedModel } from './models/models.ts';
import { signatureMisfits } from './models/signature-misfits.ts';
import { DefaultAnswer } from './serving/traffic/default-answer.ts';
import type { FallbackOptions } from './serving/traffic/traffic-options.ts';
import type { Definitions } from './store/definitions.ts';
import type { PlannedDefinition } from './store/project.ts';

interface Surroundings {
  readonly models: Pick<Models, 'get' | 'list' | 'resolve'>;
  readonly definitions: Pick<Definitions, 'list'>;
}

/**
 * What a plan may do and most likely should not: fallback chains whose steps do not take the calls of the model that they stand in for, or do not answer with
 * what is read. They would be noticed when they are needed. A model that is registered only with the plan is looked at once it is applied.
 *
 * @returns issues with file and line
 * @example fallbackWarnings(planned, stations)
 * // [{ file: 'models/risk/model.yaml', line: 7, path: '/serving/fallback/0', message: 'champion of risk falls back to rules/1, which does not take its calls: …' }]
 */
export function fallbackWarnings(
  planned: readonly PlannedDefinition[],
  { models }: Pick<Surroundings, 'models'>,
): Issue[] {
  const coming = new Set(planned.filter(({ kind }) => kind === 'model').map(({ name }) => name));
  return planned
    .filter(({ kind }) => kind === 'model')
    .flatMap(({ name, body, document }) =>
      misfitsOf(name, body as unknown as ModelDefinition, models, coming).map((issue) =>
        locateIssue(document, issue),
      ),
    );
}

/**
 * The same of the definitions in force, for a model whose alias has moved: of its own chain, and of those that name it.
 *
 * @example fallbackWarningsOf('rules', stations)
 */
export function fallbackWarningsOf(model: string, { models, definitions }: Surroundings): Issue[] {
  return definitions.list('model').flatMap(({ name, body }) => {
    const definition = body as unknown as ModelDefinition;
    const isNamed = definition.serving?.fallback?.some((step) => 'model' in step && step.model === model);
    return name === model || isNamed ? misfitsOf(name, definition, models, new Set()) : [];
  });
}

/** @param coming models that may not be registered yet */
function misfitsOf(
  name: string,
  { serving }: ModelDefinition,
  models: Surroundings['models'],
  coming: ReadonlySet<string>,
): Issue[] {
  const { fallback = [] } = serving ?? {};
  if (fallback.length === 0 || !models.list().some((model) => model.name === name)) return [];
  const asked = Object.keys(models.get(name).aliases).flatMap((alias) => {
    const model = attempted(() => models.resolve(name, alias));
    return model instanceof AiosError ? [] : [{ alias, model }];
  });
  return fallback.flatMap((step, i) =>
    asked.flatMap(({ alias, model }) => {
      const fault = faultOf(step, model, models, coming);
      return fault === undefined
        ? []
        : [
            {
              path: `/serving/fallback/${i}`,
              message: `${alias} of ${name} (version ${model.version}) ${fault}`,
            },
          ];
    }),
  );
}

function faultOf(
  step: FallbackOptions,
  model: ResolvedModel,
  models: Surroundings['models'],
  coming: ReadonlySet<string>,
): string | undefined {
  if ('default' in step) {
    if (step.default.outputs === undefined) return undefined; // results alone, for scores alone
    const { outputs } = model.signature;
    const answer = new DefaultAnswer(`${model.name}/${model.version}`, outputs, step.default);
    const fault = attempted(() => answer.tensors(1));
    return fault instanceof AiosError
      ? `has a default answer that is not whole: ${fault.message}`
      : undefined;
  }
  const target = 'model' in step ? step.model : model.name;
  const other = attempted(() => models.resolve(target, step.ref));
  if (other instanceof AiosError)
    return other.code === 'models.unknown_model' && coming.has(target)
      ? undefined
      : `falls back to what is not there: ${other.message}`;
  const issues = [...signatureMisfits(model.signature, other.signature), ...unsentFeatures(model, other)];
  if (issues.length === 0) return undefined;
  const why = issues.map((issue) => describeIssue(issue)).join('; ');
  return `falls back to ${other.name}/${other.version}, which does not take its calls or answer as it does: ${why}`;
}

/** Features that the other version needs and calls of this one need not name. */
function unsentFeatures(
  { signature: { features } }: ResolvedModel,
  { signature: other }: ResolvedModel,
): Issue[] {
  if (!features || !other.features) return [];
  const { fill } = other;
  const isFilled = (name: string) =>
    typeof fill === 'object' ? Object.hasOwn(fill, name) : fill !== undefined;
  return other.features
    .filter((name) => !features.includes(name) && !isFilled(name))
    .map((name) => ({ path: `/features/${name}`, message: 'callers need not name it' }));
}

function attempted<T>(find: () => T): T | AiosError {
  try {
    return find();
  } catch (error) {
    if (error instanceof AiosError) return error;
    throw error;
  }
}
