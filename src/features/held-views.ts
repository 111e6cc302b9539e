import type { Issue } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { DefinitionKind } from '../store/definition-kind.ts';
import type { Definition, Definitions, HeldVersion } from '../store/definitions.ts';
import { type PlannedDefinition, standing } from '../store/project.ts';
import { stateMeaningOf } from './compiled.ts';
import { type ListedView, projectionOf } from './projections.ts';
import { keptOf } from './row-view.ts';
import {
  type BatchViewBody,
  type FeatureViewBody,
  kindOfView,
  type StreamViewBody,
} from './view-documents.ts';

const VIEW = 'feature-view';

/**
 * The versions of feature views that a service, a computed view or a dataset is held to.
 *
 * @example heldViewsOf('feature-service', { name: 's', views: [{ view: 'weather', version: 2 }] }) // [{ kind: 'feature-view', name: 'weather', version: 2 }]
 */
export function heldViewsOf(kind: string, body: JsonObject): HeldVersion[] {
  const { views, source } = body as { views?: ListedView[]; source?: { views?: ListedView[] } };
  const listed =
    kind === VIEW ? source?.views : kind === 'feature-service' || kind === 'dataset' ? views : [];
  return (listed ?? []).flatMap((each) => {
    const { view: name, version } = projectionOf(each);
    return version === undefined ? [] : [{ kind: VIEW, name, version }];
  });
}

/** An older version of a view that is kept beside the newest, and the definitions that are held to it. */
export interface HeldView {
  readonly name: string;
  readonly version: number;
  readonly newest: number;
  readonly by: readonly string[];
}

interface Surroundings {
  readonly kinds: readonly Pick<DefinitionKind, 'kind'>[];
  readonly definitions: Definitions;
}

/** The older versions of views that are kept once a plan is applied. */
function heldAfter(planned: readonly PlannedDefinition[], { kinds, definitions }: Surroundings): HeldView[] {
  const newest = new Map(
    planned.flatMap(({ kind, name, toVersion }) => (kind === VIEW ? [[name, toVersion]] : [])),
  );
  return heldIn(
    [...standing(planned, kinds, definitions), ...(planned[0]?.held.values() ?? definitions.held())],
    (name) => newest.get(name) ?? definitions.latest(VIEW, name)?.version,
  );
}

/** The versions of views that definitions are held to, by name and version: those before `newestOf` the view. */
export function heldIn(
  all: Iterable<Pick<Definition, 'kind' | 'name' | 'body'>>,
  newestOf: (view: string) => number | undefined,
): HeldView[] {
  const held = new Map<string, { name: string; version: number; newest: number; by: string[] }>();
  for (const { kind, name: holder, body } of all) {
    for (const { name, version } of heldViewsOf(kind, body)) {
      const newest = newestOf(name);
      if (newest === undefined || version >= newest) continue;
      const key = `${name}@${version}`;
      const known = held.get(key) ?? { name, version, newest, by: [] };
      if (!known.by.includes(`${kind} ${holder}`)) known.by.push(`${kind} ${holder}`);
      held.set(key, known);
    }
  }
  return [...held.values()].sort((a, b) =>
    a.name === b.name ? a.version - b.version : a.name < b.name ? -1 : 1,
  );
}

/** The file of a plan that changes who is held to which version of a view. */
function causeIn(planned: readonly PlannedDefinition[], view: string): string | undefined {
  const changed = planned.filter(({ action }) => action !== 'unchanged');
  const names = ({ kind, name, body }: PlannedDefinition) =>
    (kind === VIEW && name === view) || heldViewsOf(kind, body).some((held) => held.name === view);
  return (changed.find(names) ?? changed[0])?.document.file;
}

/** Views of which more versions would be kept than `versionsMax`, each with what holds them. */
export function tooManyHeld(
  planned: readonly PlannedDefinition[],
  surroundings: Surroundings,
  versionsMax: number,
): Issue[] {
  const byView = Map.groupBy(heldAfter(planned, surroundings), ({ name }) => name);
  return [...byView].flatMap(([name, held]): Issue[] => {
    const file = causeIn(planned, name);
    if (held.length < versionsMax || file === undefined) return [];
    const kept = held.map(({ version, by }) => `${version} (${by.join(', ')})`).join(', ');
    const message = `version ${held[0]!.newest} of the feature view “${name}” would be kept beside ${held.length} older ones: ${kept}; let one of these go first (featureViewVersionsMax)`;
    const [found, expected] = [`${held.length + 1} versions`, `at most ${versionsMax}`];
    return [{ path: '', file, message, found, expected }];
  });
}

/** The bodies of versions of views once a plan is applied, as far as they are known. */
function bodiesAfter(planned: readonly PlannedDefinition[], { definitions }: Surroundings) {
  const held = [...(planned[0]?.held.values() ?? definitions.held())];
  return (name: string, version: number): JsonObject | undefined =>
    planned.find((of) => of.kind === VIEW && of.name === name && of.toVersion === version)?.body ??
    definitions.at(VIEW, name, version)?.body ??
    held.find((of) => of.kind === VIEW && of.name === name && of.version === version)?.body;
}

/** Whether two versions of a view share what is kept, as those of a push view do, and of other views those that mean the same. */
function shareState(...bodies: readonly (JsonObject | undefined)[]): boolean {
  const [one, other] = bodies.map((body) => {
    const view = body as unknown as FeatureViewBody | undefined;
    const kind = view && kindOfView(view);
    if (kind === 'stream') return stateMeaningOf(view as StreamViewBody);
    return kind === 'batch' || kind === 'push' ? keptOf(view as BatchViewBody) : undefined;
  });
  return one !== undefined && one === other;
}

/** What a plan leads to where versions of a view begin to be kept beside each other, or stop to be. */
export function heldNotices(planned: readonly PlannedDefinition[], surroundings: Surroundings): Issue[] {
  const [after, before] = [heldAfter(planned, surroundings), heldAfter([], surroundings)];
  const without = (held: readonly HeldView[], others: readonly HeldView[]) =>
    held.filter(
      (each) => !others.some(({ name, version }) => name === each.name && version === each.version),
    );
  const told = (name: string, message: string): Issue[] => {
    const file = causeIn(planned, name);
    return file === undefined ? [] : [{ path: '', file, message }];
  };
  const bodyOf = bodiesAfter(planned, surroundings);
  return [
    ...without(after, before).flatMap(({ name, version, newest, by }) => {
      const cost = shareState(bodyOf(name, version), bodyOf(name, newest))
        ? 'they share their state'
        : 'its state is kept a second time, and fed, until nobody names it';
      const message = `version ${version} of the feature view “${name}” stays beside version ${newest} (${by.join(', ')}): ${cost}`;
      return told(name, message);
    }),
    ...without(before, after).flatMap(({ name, version }) =>
      told(
        name,
        `nobody names version ${version} of the feature view “${name}” any more: what is kept of it goes`,
      ),
    ),
  ];
}
