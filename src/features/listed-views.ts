import type { FindBody } from '../kernel/definition-lineage.ts';
import type { Issue } from '../kernel/errors.ts';
import { identifier } from './document-parts.ts';
import type { EntityBody } from './entity.ts';
import {
  keyNameOf,
  type ListedView,
  type ListedViews,
  labelOf,
  listedFeatures,
  type Projection,
  projectionOf,
} from './projections.ts';
import { type FeatureViewBody, kindOfView, type OnDemandViewBody } from './view-documents.ts';

/** What listed views are looked up in. */
interface Known {
  readonly find: FindBody;
  /** The newest version of a definition, or that a plan makes. */
  readonly versionOf: (kind: string, name: string) => number | undefined;
}

const IDENTIFIER = new RegExp(identifier);

/** What a request calls the join keys of listed views, and of those that computed ones among them read: in their order, each once. */
export function joinKeysOf(views: readonly ListedView[], find: FindBody): string[] {
  return renamed(views, (projection) => keysOfView(projection, find));
}

function renamed(
  views: readonly ListedView[],
  keysOf: (projection: Projection) => readonly string[],
): string[] {
  const keys = views.flatMap((listed) => {
    const projection = projectionOf(listed);
    return keysOf(projection).map((key) => keyNameOf(projection, key));
  });
  return [...new Set(keys)];
}

function bodyOf({ view, version }: Projection, find: FindBody): FeatureViewBody | undefined {
  return find('feature-view', view, version) as unknown as FeatureViewBody | undefined;
}

function keysOfView(projection: Projection, find: FindBody): readonly string[] {
  const view = bodyOf(projection, find);
  if (!view || kindOfView(view) !== 'on-demand') return storedKeys(view, find);
  const { source } = view as OnDemandViewBody;
  // What it reads is stored; a view that reads computed ones is refused for that.
  return renamed(source.views, (input) => storedKeys(bodyOf(input, find), find));
}

function storedKeys(view: FeatureViewBody | undefined, find: FindBody): readonly string[] {
  if (!view || !('entity' in view)) return [];
  const entity = find('entity', view.entity) as unknown as EntityBody | undefined;
  return entity?.joinKeys ?? [];
}

/** The names of a listed view's features, in the version that it is held to. */
export function featuresOfView(projection: Projection, find: FindBody): string[] {
  return Object.keys(bodyOf(projection, find)?.features ?? {});
}

/**
 * What does not fit in a list of views: keys and features that a view has not, another version than the one it is held to, names that two have.
 *
 * @param path JSON Pointer of the list
 */
export function listedIssues(listed: ListedViews, path: string, known: Known): Issue[] {
  const issues = listed.views.flatMap((each, index) =>
    projectionIssues(projectionOf(each), `${path}/${index}`, known),
  );
  return issues.length > 0 ? issues : nameIssues(listed, path, known.find);
}

function projectionIssues(projection: Projection, path: string, { find, versionOf }: Known): Issue[] {
  const { view, joinKeyMap = {}, features = [], version } = projection;
  const issues: Issue[] = [];
  if (version !== undefined && bodyOf(projection, find) === undefined)
    return [unknownVersion(projection, path, versionOf('feature-view', view))];
  const keys = keysOfView(projection, find);
  for (const key of Object.keys(joinKeyMap)) {
    if (keys.includes(key)) continue;
    const message = `the view ${view} has no such join key`;
    issues.push({ path: `${path}/joinKeyMap/${key}`, message, found: key, expected: keys.join(', ') });
  }
  const names = keys.map((key) => keyNameOf(projection, key));
  const twice = names.find((name, at) => names.indexOf(name) < at);
  if (twice !== undefined)
    issues.push({
      path: `${path}/joinKeyMap`,
      message: `two join keys of ${view} would be called “${twice}”`,
    });
  const had = featuresOfView(projection, find);
  for (const [at, feature] of features.entries()) {
    if (had.includes(feature)) continue;
    const message = `the view ${view} has no such feature`;
    issues.push({
      path: `${path}/features/${at}`,
      message,
      found: feature,
      expected: `one of ${had.join(', ')}`,
    });
  }
  return issues;
}

function unknownVersion({ view, version }: Projection, path: string, newest: number | undefined): Issue {
  const message =
    newest !== undefined && version! < newest
      ? `version ${version} of ${view} is kept while a feature service is held to it, and none is; the newest is ${newest}`
      : `there is no version ${version} of ${view}; the newest is ${newest}`;
  return { path: `${path}/version`, message, found: String(version), expected: String(newest) };
}

/** Where expressions name features in full: views whose names they cannot hold. */
export function labelIssues({ views, fullFeatureNames = false }: ListedViews, path: string): Issue[] {
  if (!fullFeatureNames) return [];
  return views.flatMap((listed, index): Issue[] => {
    const label = labelOf(projectionOf(listed));
    if (IDENTIFIER.test(label)) return [];
    const message = `the names of its features would begin with “${label}__”, which no expression can hold: give it a “name” of letters, digits and _`;
    const expected = `name: ${label.replace(/[^A-Za-z0-9_]/g, '_')}`;
    return [{ path: `${path}/${index}`, message, found: label, expected }];
  });
}

/** Two features of one name, told at the second view. */
function nameIssues(listed: ListedViews, path: string, find: FindBody): Issue[] {
  const known = new Map<string, string>();
  return listedFeatures(listed, (projection) => featuresOfView(projection, find)).flatMap((each): Issue[] => {
    const label = labelOf(each.projection);
    const other = known.get(each.name);
    known.set(each.name, label);
    if (other === undefined) return [];
    const told =
      other === label
        ? `two views are called “${label}”: give one of them another “name”`
        : `two views have a feature “${each.feature}”: ${other} and ${label}; with “fullFeatureNames: true” they are called ${other}__${each.feature} and ${label}__${each.feature}`;
    return [{ path: `${path}/${each.index}`, message: told, found: each.name }];
  });
}
