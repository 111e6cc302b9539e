import { tooManyHeld } from '../features/held-views.ts';
import { digestOf } from '../kernel/canonical.ts';
import { AiosError } from '../kernel/errors.ts';
import { Slots } from '../kernel/slots.ts';
import type { NewVersion } from '../models/candidate.ts';
import { retryConflicts } from '../models/conflicts.ts';
import { type ModelDefinition, pathBeside } from '../models/model-kind.ts';
import type { TriedVersion } from '../models/resolved-model.ts';
import type { ProjectFile } from '../store/definition-kind.ts';
import { type KeepsDefinition, type PlannedDefinition, planProject } from '../store/project.ts';
import { inOrderOfAsking } from './stations/ensembles.ts';
import type { Stations } from './stations/stations.ts';

/** Kinds whose change makes versions of views come or go. */
const HOLDS_VIEWS = ['feature-view', 'feature-service', 'dataset'];

export interface AppliedDefinition extends PlannedDefinition {
  /** Of a model that changes: the version that ran with the plan. */
  readonly tried?: TriedVersion | undefined;
}

interface ChangedModel {
  readonly label: string;
  readonly alias: string | undefined;
  readonly wanted: NewVersion;
  /** It stands on what is applied with it: its flow was looked at with the plan, and it runs once that is there. */
  readonly isLate: boolean;
}

interface Wanted {
  readonly files: readonly ProjectFile[];
  readonly by: { kind: string; id: string };
  readonly dryRun: boolean;
  readonly keeps: KeepsDefinition | undefined;
  /** The versions that have run, by the digest of the definition that brings them. */
  readonly verified: Map<string, TriedVersion>;
}

/** Whoever was overtaken goes on one at a time: those who change other things at the same moment would void each other's plans again and again. */
const overtaken = new Slots();
const ONE = { concurrencyMax: 1, queueMax: Number.POSITIVE_INFINITY };

/**
 * Applies a project: planned whole, models verified in a replica, then all definitions and their audit entries in one commit. Whoever changes a definition
 * between the plan and the commit makes the plan void, and it is made again of what there is then.
 *
 * @param dryRun plans and verifies, and changes nothing
 * @param keeps which definitions stay as they are, whatever the files say of them
 * @returns the plan
 * @throws AiosError what the plan finds, `store.conflict` when others were faster again and again
 * @example await applyProject(stations, [{ path: 'contracts/order.yaml', bytes }], { kind: 'key', id: 'key_1' }, false)
 */
export async function applyProject(
  stations: Stations,
  files: readonly ProjectFile[],
  by: { kind: string; id: string },
  dryRun: boolean,
  keeps?: KeepsDefinition,
): Promise<readonly AppliedDefinition[]> {
  const { definitions, models, serving, views } = stations;
  const verified = new Map<string, TriedVersion>();
  let attempts = 0;
  const planned = await retryConflicts(async () => {
    const wanted = { files, by, dryRun, keeps, verified };
    if (attempts++ === 0) return planAndCommit(stations, wanted);
    const release = await overtaken.take(ONE, 'changes of definitions', new AbortController().signal);
    return planAndCommit(stations, wanted).finally(release);
  });
  const changed = planned.filter(({ action }) => action !== 'unchanged');
  if (dryRun || changed.length === 0) return planned;
  await definitions.reload();
  const changedModels = modelsOf(changed, files, by);
  const inOrder = [
    ...changedModels.filter(({ isLate }) => !isLate),
    ...inOrderOfAsking(
      changedModels.filter(({ isLate }) => isLate),
      definitions,
    ),
  ];
  for (const { wanted, alias } of inOrder) {
    await models.applyDefinition(wanted, alias);
    if (models.get(wanted.name).aliases.champion) await serving.load(wanted.name); // its first version may wait for approvals
  }
  if (changed.some(({ kind }) => HOLDS_VIEWS.includes(kind))) await views.sync();
  return planned;
}

async function planAndCommit(
  stations: Stations,
  { files, by, dryRun, keeps, verified }: Wanted,
): Promise<readonly AppliedDefinition[]> {
  const { definitions, kinds, commit, auditLog, models, clock } = stations;
  const snapshot = await definitions.snapshot();
  const planned = await planProject(files, kinds, definitions, keeps);
  const issues = tooManyHeld(planned, stations, stations.limits.featureViewVersionsMax);
  if (issues.length > 0) throw new AiosError('definition.invalid', { issues });
  const changed = planned.filter(({ action }) => action !== 'unchanged');
  const tried = new Map<string, TriedVersion>();
  for (const { wanted, label, isLate } of modelsOf(changed, files, by)) {
    if (isLate) continue;
    const digest = digestOf(changed.find(({ document }) => document.file === label)!.body);
    // Once for each plan that says the same: a replica takes seconds to start. What asks flows depends on theirs, too.
    const known = wanted.runtime === 'workflow' ? undefined : verified.get(digest);
    const version = known ?? (await models.verify(wanted, label));
    verified.set(digest, version);
    tried.set(wanted.name, version);
  }
  const outcome = planned.map((each) =>
    each.kind === 'model' ? { ...each, tried: tried.get(each.name) } : each,
  );
  if (dryRun || changed.length === 0) return outcome;
  await commit.commit([
    ...stations.lineageWrites(planned),
    ...changed.flatMap(({ kind, name, body, document, toVersion, action }) => [
      definitions.put({ kind, name, body, source: document.text, createdBy: by.id }, snapshot),
      auditLog.entry({
        kind: 'definition',
        action: action === 'create' ? 'created' : 'changed',
        actor: by,
        object: `${kind}:${name}`,
        at: clock.now(),
        payload: { kind, name, version: toVersion, body },
      }),
    ]),
  ]);
  return outcome;
}

function modelsOf(
  changed: readonly PlannedDefinition[],
  files: readonly ProjectFile[],
  by: { kind: string; id: string },
): ChangedModel[] {
  return changed
    .filter(({ kind }) => kind === 'model')
    .map(({ document, body }) => {
      const { file, alias, ...definition } = body as unknown as ModelDefinition;
      const onnx = file && files.find(({ path }) => path === pathBeside(document.file, file))!.bytes;
      const serving = definition.serving ?? {}; // not as the definition says that is in force until now
      const wanted = { ...definition, serving, ...(onnx && { onnx }), by };
      return {
        label: document.file,
        alias,
        wanted,
        isLate: wanted.runtime === 'workflow' && changed.length > 1,
      };
    });
}
