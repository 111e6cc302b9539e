import type { CompiledView } from './compiled.ts';
import type { EntityBody, KeyType } from './entity.ts';
import { keyNameOf, type ListedViews, type Projection, projectionOf } from './projections.ts';
import type { RowView } from './row-view.ts';
import type { OnDemandViewBody } from './view-documents.ts';

/** A stored view as a service reads it: by what a request calls its join keys. One that is listed twice with the same keys is read once. */
export interface Reading<View extends CompiledView | RowView = CompiledView | RowView> {
  readonly view: View;
  /** In the order of the view's join keys. */
  readonly keys: readonly string[];
  /** By these names. */
  readonly keyTypes: EntityBody['types'];
  /** A version of a batch view that no pass has brought online yet, and that is asked for by its number: it answers of the past alone. */
  readonly isAwaited?: boolean;
}

/** A view whose values are computed when they are read. */
interface OnDemandView {
  readonly name: string;
  readonly version: number;
  readonly body: OnDemandViewBody;
}

/** A computed view as a service reads it: its inputs in the order in which it lists them. */
export interface OnDemandUse {
  readonly view: OnDemandView;
  readonly inputs: readonly Reading[];
}

/** The views that a service reads: those that it lists, and those that its computed ones need. */
export interface ServiceViews {
  readonly streams: readonly Reading<CompiledView>[];
  readonly rows: readonly Reading<RowView>[];
  readonly onDemand: readonly OnDemandUse[];
  /** Of each view that the service lists, in their order, what it is read by. */
  readonly listed: readonly (Reading | OnDemandUse)[];
}

/**
 * The join keys of all views as the rows of a spine call them, in their order, with their types: `int64` where every view has it so, `string` where one wants text.
 *
 * @example joinKeyTypes(service).get('customer') // 'int64'
 */
export function joinKeyTypes({ streams, rows }: ServiceViews): Map<string, KeyType | undefined> {
  const types = new Map<string, KeyType | undefined>();
  for (const { keys, keyTypes } of [...streams, ...rows]) {
    for (const key of keys) {
      const type = keyTypes?.[key];
      const before = types.has(key) ? types.get(key) : type;
      types.set(key, before === type ? type : [before, type].find((each) => each === 'string'));
    }
  }
  return types;
}

/** A version of a view, by what keeps it. */
export type FoundView =
  | { readonly stream: CompiledView }
  | { readonly row: RowView; readonly isAwaited?: boolean }
  | { readonly onDemand: OnDemandView };

type Rename = (key: string) => string;

/** A view read by its own join keys, or by others. */
export function readingOf<View extends CompiledView | RowView>(
  view: View,
  rename: Rename = (key) => key,
): Reading<View> {
  const { joinKeys, keyTypes } = view;
  return {
    view,
    keys: joinKeys.map(rename),
    keyTypes:
      keyTypes && Object.fromEntries(Object.entries(keyTypes).map(([key, type]) => [rename(key), type])),
  };
}

/**
 * Looks up the views of a list and what the computed ones among them read. The join keys of a computed view are those of its inputs: it hands its map
 * on to them.
 *
 * @throws AiosError what `find` throws
 */
export function resolveViews(
  { views }: ListedViews,
  find: (projection: Projection) => FoundView,
): ServiceViews {
  const streams = new Map<string, Reading<CompiledView>>();
  const rows = new Map<string, Reading<RowView>>();
  const onDemand: OnDemandUse[] = [];
  const read = (projection: Projection, found: Exclude<FoundView, { onDemand: unknown }>, rename: Rename) => {
    const named = (key: string) => rename(keyNameOf(projection, key));
    return 'stream' in found
      ? once(streams, readingOf(found.stream, named))
      : once(rows, { ...readingOf(found.row, named), isAwaited: found.isAwaited === true });
  };
  const listed = views.map((each) => {
    const projection = projectionOf(each);
    const found = find(projection);
    if (!('onDemand' in found)) return read(projection, found, (key) => key);
    const inputs = found.onDemand.body.source.views.map((input) => {
      const inner = projectionOf(input);
      return read(inner, find(inner) as Exclude<FoundView, { onDemand: unknown }>, (key) =>
        keyNameOf(projection, key),
      );
    });
    const use = { view: found.onDemand, inputs };
    onDemand.push(use);
    return use;
  });
  return { streams: [...streams.values()], rows: [...rows.values()], onDemand, listed };
}

function once<View extends CompiledView | RowView>(
  known: Map<string, Reading<View>>,
  reading: Reading<View>,
): Reading<View> {
  const by = [reading.view.name, reading.view.version, ...reading.keys].join(' ');
  const first = known.get(by);
  if (first) return first;
  known.set(by, reading);
  return reading;
}
