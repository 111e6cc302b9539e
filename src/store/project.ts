import { digestOf } from '../kernel/canonical.ts';
import { closestName } from '../kernel/closest-name.ts';
import { locateIssue, readDocument, type SourceDocument, validateDocument } from '../kernel/document.ts';
import type { ErrorCode } from '../kernel/error-codes.ts';
import { AiosError, type Issue } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { compileSchema } from '../kernel/schema.ts';
import type { DefinitionKind, ProjectFile, Surroundings } from './definition-kind.ts';
import { type Definition, type Definitions, versionKey } from './definitions.ts';

export interface PlannedDefinition {
  readonly kind: string;
  readonly name: string;
  readonly body: JsonObject;
  readonly document: SourceDocument;
  readonly action: 'create' | 'update' | 'unchanged';
  /** 0 when it is new. */
  readonly fromVersion: number;
  readonly toVersion: number;
  /** The versions that definitions are held to once the plan is applied, by `versionKey`; the same for all of a plan. */
  readonly held: ReadonlyMap<string, Definition>;
}

/** Asked of a definition that the files say something else of. */
export type KeepsDefinition = (newest: Definition) => Promise<boolean>;

/** The folder of files that definitions name: documents of interfaces, schemas, scripts, functions. */
const RESOURCES = 'resources';
const validateProject = compileSchema({
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: { name: { type: 'string', minLength: 1 }, description: { type: 'string' } },
});

/** The project itself: `aios.yaml`, which says what the folder is. */
export const projectKind: DefinitionKind = {
  kind: 'project',
  folder: '',
  parse(document) {
    validateDocument(document, validateProject);
    return { name: String(document.value.name), body: document.value };
  },
};

/**
 * What applying a project would change, in the order of the kinds. Every fault of every file is found before anything is
 * changed.
 *
 * @param keeps whether a definition stays as it is, whatever the files say of it: it is no part of the plan then
 * @throws AiosError with the issues of all files
 * @example await planProject([{ path: 'contracts/order.yaml', bytes }], [contractKind], definitions)
 */
export async function planProject(
  files: readonly ProjectFile[],
  kinds: readonly DefinitionKind[],
  definitions: Definitions,
  keeps?: KeepsDefinition,
): Promise<PlannedDefinition[]> {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const faults: AiosError[] = [];
  const planned: (Planned & { of: DefinitionKind })[] = [];
  for (const file of files.filter(({ path }) => /\.(ya?ml|json)$/.test(path))) {
    try {
      const kind = kindOf(file.path, kinds);
      const definition = kind && (await plan(file, kind, byPath, definitions, keeps));
      if (definition) planned.push(definition);
    } catch (error) {
      if (!(error instanceof AiosError)) throw error;
      faults.push(error);
    }
  }
  faults.push(...missingReferences(planned, definitions), ...duplicates(planned));
  const held = new Map<string, Definition>();
  if (faults.length === 0) {
    for (const [key, definition] of await definitions.heldBy(standing(planned, kinds, definitions)))
      held.set(key, definition);
    const after = surroundingsOf(planned, definitions, held);
    faults.push(...misfits(planned, definitions, after), ...leftBehind(planned, kinds, definitions, after));
  }
  if (faults.length > 0) throw combined(faults);
  return planned
    .sort((a, b) => kinds.indexOf(a.of) - kinds.indexOf(b.of))
    .map(({ of: _, ...definition }) => ({ ...definition, held }));
}

function kindOf(path: string, kinds: readonly DefinitionKind[]): DefinitionKind | undefined {
  const folder = path.includes('/') ? path.slice(0, path.indexOf('/')) : '';
  if ((folder === '' && path !== 'aios.yaml') || folder === RESOURCES) return undefined;
  const kind = kinds.find((candidate) => candidate.folder === folder);
  if (kind) return kind;
  const known = kinds.map((candidate) => candidate.folder).filter(Boolean);
  throw new AiosError('definition.unknown_kind', {
    issues: [
      {
        path: '',
        file: path,
        message: `“${folder}/” holds no kind of definition`,
        expected: `one of ${known.join(', ')}`,
      },
    ],
  });
}

async function plan(
  file: ProjectFile,
  of: DefinitionKind,
  files: ReadonlyMap<string, ProjectFile>,
  definitions: Definitions,
  keeps: KeepsDefinition | undefined,
): Promise<(Planned & { of: DefinitionKind }) | undefined> {
  const written = readDocument(new TextDecoder().decode(file.bytes), file.path);
  const document = (await of.prepare?.(written, files)) ?? written;
  const { name, body } = of.parse(document, files);
  const latest = definitions.latest(of.kind, name);
  const same = latest?.digest === digestOf(body);
  if (!same && latest && (await keeps?.(latest))) return undefined;
  if (!same) await checkChange(of, name, body, document);
  const fromVersion = latest?.version ?? 0;
  return {
    of,
    kind: of.kind,
    name,
    body,
    document,
    action: same ? 'unchanged' : latest ? 'update' : 'create',
    fromVersion,
    toVersion: same ? fromVersion : fromVersion + 1,
  };
}

/** What the kind finds, with its place in the file. */
async function checkChange(
  of: DefinitionKind,
  name: string,
  body: JsonObject,
  document: SourceDocument,
): Promise<void> {
  try {
    await of.checkChange?.(name, body);
  } catch (error) {
    if (!(error instanceof AiosError)) throw error;
    const { code, message: detail, extensions } = error;
    const issues = error.issues.map((issue) => locateIssue(document, issue));
    throw new AiosError(code, { detail, issues, extensions: { ...extensions }, cause: error });
  }
}

function missingReferences(
  planned: readonly (Planned & { of: DefinitionKind })[],
  definitions: Definitions,
): AiosError[] {
  const here = new Set(planned.map(({ kind, name }) => `${kind}/${name}`));
  const namesOf = (kind: string) =>
    [...planned.filter((one) => one.kind === kind), ...definitions.list(kind)].map(({ name }) => name);
  return planned.flatMap(({ of, body, document }) =>
    (of.references?.(body) ?? [])
      .filter(({ kind, name }) => !here.has(`${kind}/${name}`) && !definitions.latest(kind, name))
      .map(({ kind, name, path }) => {
        const meant = closestName(name, namesOf(kind));
        const issue: Issue = {
          ...{ path, message: `there is no ${kind} “${name}”`, found: name },
          ...(meant !== undefined && { meant: `“${meant}”` }),
        };
        return new AiosError('definition.reference', { issues: [locateIssue(document, issue)] });
      }),
  );
}

type Body = Pick<Definition, 'kind' | 'name' | 'body'>;
type Planned = Omit<PlannedDefinition, 'held'>;

/** All definitions as a plan will leave them. */
export function standing(
  planned: readonly Planned[],
  kinds: readonly Pick<DefinitionKind, 'kind'>[],
  definitions: Definitions,
): Body[] {
  const here = new Set(planned.map(({ kind, name }) => `${kind}/${name}`));
  const applied = kinds.flatMap(({ kind }): Body[] => definitions.list(kind));
  return [...planned, ...applied.filter(({ kind, name }) => !here.has(`${kind}/${name}`))];
}

type Around = Omit<Surroundings, 'previous'>;

/** What is applied, with what a plan puts in its place. */
function surroundingsOf(
  planned: readonly Planned[],
  definitions: Definitions,
  held: ReadonlyMap<string, Definition>,
): Around {
  const here = new Map(planned.map((definition) => [`${definition.kind}/${definition.name}`, definition]));
  return {
    find(kind, name, version) {
      const planned = here.get(`${kind}/${name}`);
      if (version === undefined || version === planned?.toVersion)
        return (planned ?? definitions.latest(kind, name))?.body;
      return (definitions.at(kind, name, version) ?? held.get(versionKey({ kind, name, version })))?.body;
    },
    findApplied: (kind, name, version) =>
      (version === undefined ? definitions.latest(kind, name) : definitions.at(kind, name, version))?.body,
    versionOf: (kind, name) =>
      here.get(`${kind}/${name}`)?.toVersion ?? definitions.latest(kind, name)?.version,
  };
}

function misfits(
  planned: readonly (Planned & { of: DefinitionKind })[],
  definitions: Definitions,
  after: Around,
): AiosError[] {
  return planned.flatMap(({ of, kind, name, body, document }) => {
    const located = (code: ErrorCode, issues: readonly Issue[]) =>
      issues.length === 0
        ? []
        : [new AiosError(code, { issues: issues.map((issue) => locateIssue(document, issue)) })];
    try {
      const previous = definitions.latest(kind, name)?.body;
      return located('definition.invalid', of.checkFit?.(body, { ...after, previous }) ?? []);
    } catch (error) {
      if (error instanceof AiosError && error.issues.length > 0) return located(error.code, error.issues);
      throw error;
    }
  });
}

/** What is applied and fits, and would not any more: told in the file of the change, since nobody is to find out by a request that fails. */
function leftBehind(
  planned: readonly Planned[],
  kinds: readonly DefinitionKind[],
  definitions: Definitions,
  after: Around,
): AiosError[] {
  const here = new Map(planned.map((definition) => [`${definition.kind}/${definition.name}`, definition]));
  const before = surroundingsOf([], definitions, new Map());
  const followers = kinds.filter(({ followsReferences }) => followsReferences);
  return followers.flatMap((of) =>
    definitions.list(of.kind).flatMap(({ kind, name, body }) => {
      if (here.has(`${kind}/${name}`)) return [];
      const cause = of
        .references?.(body)
        .map((reference) => here.get(`${reference.kind}/${reference.name}`))
        .find((changed) => changed?.action === 'update');
      if (!cause || of.checkFit!(body, { ...before, previous: body }).length > 0) return [];
      const { file } = cause.document;
      const issues = of.checkFit!(body, { ...after, previous: body }).map(
        ({ path, message, ...issue }): Issue => ({
          ...issue,
          path: '',
          file,
          message: `the ${kind} “${name}” would not fit any more (${path}: ${message}): change it in the same apply`,
        }),
      );
      return issues.length === 0 ? [] : [new AiosError('definition.invalid', { issues })];
    }),
  );
}

function duplicates(planned: readonly Planned[]): AiosError[] {
  const first = new Map<string, string>();
  return planned.flatMap(({ kind, name, document: { file } }) => {
    const known = first.get(`${kind}/${name}`);
    if (!known) {
      first.set(`${kind}/${name}`, file);
      return [];
    }
    const message = `${kind} “${name}” is already defined in ${known}`;
    return [new AiosError('definition.invalid', { issues: [{ path: '/name', message, file }] })];
  });
}

function combined(faults: readonly AiosError[]): AiosError {
  const [first] = faults as [AiosError];
  if (faults.length === 1) return first;
  const issues = faults.flatMap((fault) =>
    fault.issues.length > 0 ? fault.issues : [{ path: '', message: fault.message }],
  );
  return new AiosError(faults.every(({ code }) => code === first.code) ? first.code : 'definition.invalid', {
    issues,
  });
}
