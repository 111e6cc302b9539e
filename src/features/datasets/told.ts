import type { JsonObject } from '../../kernel/json.ts';
import type { Definitions } from '../../store/definitions.ts';
import type { FeatureServiceBody } from '../definitions.ts';
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
  const descriptions = new Map<string, string>();
  for (const { kind, name, version: number } of version.query.pins) {
    const found = await definitions.version(kind, name, Number(number));
    if (!found) continue;
    if (kind === 'feature-service') {
      const { derived = {} } = found.body as unknown as FeatureServiceBody;
      for (const [feature, source] of Object.entries(derived))
        descriptions.set(feature, `Computed: ${source}`);
      continue;
    }
    const { features } = found.body as unknown as FeatureViewBody;
    for (const [feature, { description }] of Object.entries(features))
      descriptions.set(feature, description ?? `A feature of ${name}, version ${number}.`);
  }
  return { body: definition.body as unknown as DatasetBody, descriptions };
}
