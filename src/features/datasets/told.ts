import type { JsonObject } from '../../kernel/json.ts';
import type { Definitions } from '../../store/definitions.ts';
import type { FeatureServiceBody } from '../definitions.ts';
import { type ListedViews, listedFeatures, type Projection } from '../projections.ts';
import type { FeatureViewBody } from '../view-documents.ts';
import { croissantOf, type Told } from './croissant.ts';
import type { DatasetBody } from './dataset-kind.ts';
import type { DatasetVersion } from './dataset-version.ts';
import type { Datasets } from './datasets.ts';
import { datasheetOf } from './datasheet.ts';

type Pinned = Pick<Definitions, 'version'>;

/** The Croissant metadata of a version, with what its definition and those of its views say. @throws AiosError `datasets.unknown_dataset` */
export async function croissant(
  datasets: Datasets,
  definitions: Pinned,
  version: DatasetVersion,
  contentUrl: string,
): Promise<JsonObject> {
  return croissantOf(version, { ...(await toldOf(datasets, definitions, version)), contentUrl });
}

/** The datasheet of a version, in Markdown. @throws AiosError `datasets.unknown_dataset` */
export async function datasheet(
  datasets: Datasets,
  definitions: Pinned,
  version: DatasetVersion,
): Promise<string> {
  return datasheetOf(version, await toldOf(datasets, definitions, version));
}

async function toldOf(
  datasets: Datasets,
  definitions: Pinned,
  version: DatasetVersion,
): Promise<Omit<Told, 'contentUrl'>> {
  const definition = (await datasets.definitionOf(version)) ?? datasets.definition(version.dataset);
  const body = definition.body as unknown as DatasetBody;
  return { body, descriptions: await descriptionsOf(definitions, version) };
}

/** What the features of a version mean, by the names of its columns: as the versions say it that made it. */
async function descriptionsOf(
  definitions: Pinned,
  { query: { views = [], fullFeatureNames, pins } }: DatasetVersion,
): Promise<Map<string, string>> {
  const bodies = new Map<string, FeatureViewBody>();
  let listed: ListedViews = { views, fullFeatureNames };
  let derived: Record<string, string> = {};
  for (const { kind, name, version } of pins) {
    const found = (await definitions.version(kind, name, Number(version)))?.body;
    if (!found) continue;
    if (kind === 'feature-view')
      for (const key of [name, `${name}@${version}`]) bodies.set(key, found as unknown as FeatureViewBody);
    else {
      const service = found as unknown as FeatureServiceBody;
      listed = service;
      derived = service.derived ?? {};
    }
  }
  const versions = new Map(
    pins.flatMap(({ kind, name, version }) => (kind === 'feature-view' ? [[name, version]] : [])),
  );
  const bodyOf = ({ view, version }: Projection) =>
    bodies.get(version === undefined ? view : `${view}@${version}`);
  const features = listedFeatures(listed, (each) => Object.keys(bodyOf(each)?.features ?? {}));
  return new Map([
    ...features.map(({ name, feature, projection }): [string, string] => [
      name,
      bodyOf(projection)?.features[feature]?.description ??
        `A feature of ${projection.view}, version ${projection.version ?? versions.get(projection.view)}.`,
    ]),
    ...Object.entries(derived).map(([name, source]): [string, string] => [name, `Computed: ${source}`]),
  ]);
}
