import { locateIssue } from '../kernel/document.ts';
import { AiosError, describeIssue, type Issue } from '../kernel/errors.ts';
import type { ModelDefinition } from '../models/model-kind.ts';
import { DEFAULT_ALIAS, type Models } from '../models/models.ts';
import type { TriedVersion } from '../models/resolved-model.ts';
import { signatureMisfits } from '../models/signature-misfits.ts';
import { DefaultAnswer } from '../serving/traffic/default-answer.ts';
import type { FallbackOptions } from '../serving/traffic/traffic-options.ts';
import type { Definitions } from '../store/definitions.ts';
import type { AppliedDefinition } from './apply-project.ts';

interface Surroundings {
  readonly models: Pick<Models, 'get' | 'list' | 'resolve'>;
  readonly definitions: Pick<Definitions, 'list'>;
}

/**
 * What a plan may do and most likely should not: fallback chains whose steps do not take the calls of the model that they stand in for, or do not answer with
 * what is read. They would be noticed when they are needed. A model that comes with the plan is known by the version that ran with it; one that could not run yet (a flow that is
 * applied with it) is looked at once it is applied.
 *
 * @returns issues with file and line
 * @example fallbackWarnings(planned, stations)
 * // [{ file: 'models/risk/model.yaml', line: 7, path: '/serving/fallback/0', message: 'champion of risk falls back to rules/1, which does not take its calls: …' }]
 */
export function fallbackWarnings(
  planned: readonly AppliedDefinition[],
  { models }: Pick<Surroundings, 'models'>,
): Issue[] {
  const changes = planned.filter(({ kind }) => kind === 'model');
  const known = new KnownModels(models, new Map(changes.map((change) => [change.name, change])));
  return changes.flatMap(({ name, body, document }) =>
    misfitsOf(name, body as unknown as ModelDefinition, known).map((issue) => locateIssue(document, issue)),
  );
}

/**
 * The same of the definitions in force, for a model whose alias has moved: of its own chain, and of those that name it.
 *
 * @example fallbackWarningsOf('rules', stations)
 */
export function fallbackWarningsOf(model: string, { models, definitions }: Surroundings): Issue[] {
  const known = new KnownModels(models, new Map());
  return definitions.list('model').flatMap(({ name, body }) => {
    const definition = body as unknown as ModelDefinition;
    const isNamed = definition.serving?.fallback?.some((step) => 'model' in step && step.model === model);
    return name === model || isNamed ? misfitsOf(name, definition, known) : [];
  });
}

/** What the registry holds, and what a plan brings to it. */
class KnownModels {
  readonly #models: Surroundings['models'];
  readonly #planned: ReadonlyMap<string, AppliedDefinition>;

  constructor(models: Surroundings['models'], planned: ReadonlyMap<string, AppliedDefinition>) {
    this.#models = models;
    this.#planned = planned;
  }

  /** The versions that answer for a model, by alias. */
  answering(name: string): [alias: string, version: TriedVersion][] {
    const alias = this.#firstAlias(name);
    const aliases = this.#isRegistered(name)
      ? Object.keys(this.#models.get(name).aliases)
      : alias
        ? [alias]
        : [];
    return aliases.flatMap((each): [string, TriedVersion][] => {
      const version = attempted(() => this.resolve(name, each));
      return version === undefined || version instanceof AiosError ? [] : [[each, version]];
    });
  }

  /**
   * What a reference means once the plan is applied; undefined where that is not known before.
   *
   * @throws AiosError `models.unknown_model`, `models.unknown_version`
   */
  resolve(name: string, reference?: string | number): TriedVersion | undefined {
    const change = this.#planned.get(name);
    const { tried } = change ?? {};
    if (tried && Number(reference) === tried.version) return tried;
    if (this.#isRegistered(name) || !change) return this.#models.resolve(name, reference);
    return (reference ?? DEFAULT_ALIAS) === this.#firstAlias(name) ? tried : undefined;
  }

  #isRegistered(name: string): boolean {
    return this.#models.list().some((model) => model.name === name);
  }

  /** The alias that the first version of a model gets with its plan, unless somebody has to approve it. */
  #firstAlias(name: string): string | undefined {
    const definition = this.#planned.get(name)?.body as unknown as ModelDefinition | undefined;
    return definition?.promotion?.approvals ? undefined : (definition?.alias ?? DEFAULT_ALIAS);
  }
}

function misfitsOf(name: string, { serving }: ModelDefinition, known: KnownModels): Issue[] {
  const { fallback = [] } = serving ?? {};
  if (fallback.length === 0) return [];
  const asked = known.answering(name);
  return fallback.flatMap((step, i) =>
    asked.flatMap(([alias, version]) => {
      const fault = faultOf(step, version, known);
      const message = `${alias} of ${name} (version ${version.version}) ${fault}`;
      return fault === undefined ? [] : [{ path: `/serving/fallback/${i}`, message }];
    }),
  );
}

function faultOf(step: FallbackOptions, model: TriedVersion, known: KnownModels): string | undefined {
  if ('default' in step) {
    if (step.default.outputs === undefined) return undefined; // results alone, for scores alone
    const { outputs } = model.signature;
    const answer = new DefaultAnswer(`${model.name}/${model.version}`, outputs, step.default);
    const fault = attempted(() => answer.tensors(1));
    return fault instanceof AiosError
      ? `has a default answer that is not whole: ${fault.message}`
      : undefined;
  }
  const other = attempted(() => known.resolve('model' in step ? step.model : model.name, step.ref));
  if (other === undefined) return undefined;
  if (other instanceof AiosError) return `falls back to what is not there: ${other.message}`;
  const issues = [...signatureMisfits(model.signature, other.signature), ...unsentFeatures(model, other)];
  if (issues.length === 0) return undefined;
  const why = issues.map((issue) => describeIssue(issue)).join('; ');
  return `falls back to ${other.name}/${other.version}, which does not take its calls or answer as it does: ${why}`;
}

/** Features that the other version needs and calls of this one need not name. */
function unsentFeatures(
  { signature: { features } }: TriedVersion,
  { signature: other }: TriedVersion,
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
