import { identifier, name, text } from './document-parts.ts';

/** A view as a definition lists it: as it is, or under another name, other join keys, or with some of its features (Feast's projection of a view). */
export interface Projection {
  readonly view: string;
  /** What it is called here (Feast's `with_name`); the view's own name when left out. */
  readonly name?: string;
  /** Join key of the view → what a request calls it (Feast's `with_join_key_map`). */
  readonly joinKeyMap?: Readonly<Record<string, string>>;
  /** Those of its features that are taken, in this order; all when left out. */
  readonly features?: readonly string[];
  /** The version of the view that this was made for: that one is answered, and kept for it beside newer ones. */
  readonly version?: number;
}

/** The name of a view, or a projection of it. */
export type ListedView = string | Projection;

/** A list of views, and how their features are named. */
export interface ListedViews {
  readonly views: readonly ListedView[];
  /** Features are called `<view>__<feature>` (Feast's `full_feature_names`), so that two views may have one of the same name. */
  readonly fullFeatureNames?: boolean | undefined;
}

/** JSON Schema of `ListedViews['views']`. */
export const listedViews = {
  type: 'array',
  uniqueItems: true,
  items: {
    type: ['string', 'object'],
    minLength: 1,
    required: ['view'],
    additionalProperties: false,
    properties: {
      view: text,
      name,
      joinKeyMap: {
        type: 'object',
        minProperties: 1,
        additionalProperties: { type: 'string', pattern: identifier },
      },
      features: { type: 'array', items: text, minItems: 1, uniqueItems: true },
      version: { type: 'integer', minimum: 1 },
    },
  },
};

export function projectionOf(listed: ListedView): Projection {
  return typeof listed === 'string' ? { view: listed } : listed;
}

/** What a projection is called. */
export function labelOf({ view, name: label = view }: Projection): string {
  return label;
}

/** What a request calls a join key of the view. */
export function keyNameOf({ joinKeyMap = {} }: Projection, key: string): string {
  return Object.hasOwn(joinKeyMap, key) ? joinKeyMap[key]! : key;
}

/**
 * What a feature of a listed view is called.
 *
 * @example featureNameOf({ view: 'weather', name: 'origin' }, 'rain', true) // 'origin__rain'
 */
export function featureNameOf(projection: Projection, feature: string, isFull: boolean): string {
  return isFull ? `${labelOf(projection)}__${feature}` : feature;
}

/** A feature of a listed view, by what it is called. */
export interface ListedFeature {
  readonly name: string;
  readonly feature: string;
  /** Which of the listed views it is of. */
  readonly index: number;
  readonly projection: Projection;
}

/** The features of listed views in their order, by what they are called. `featuresOf` answers with those of a view. */
export function listedFeatures(
  { views, fullFeatureNames = false }: ListedViews,
  featuresOf: (projection: Projection, index: number) => readonly string[],
): ListedFeature[] {
  return views.flatMap((listed, index) => {
    const projection = projectionOf(listed);
    const { features = featuresOf(projection, index) } = projection;
    return features.map((feature) => ({
      name: featureNameOf(projection, feature, fullFeatureNames),
      feature,
      index,
      projection,
    }));
  });
}
