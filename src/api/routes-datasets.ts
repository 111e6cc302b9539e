import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Datasets } from '../features/datasets/datasets.ts';
import { diffVersions } from '../features/datasets/diff.ts';
import { DatasetShape, DiffShape, datasetToJson, VersionShape, versionToJson } from './dataset-shapes.ts';
import { actorOf, route } from './routes.ts';
import { NameParams, pageOf } from './shapes.ts';

interface Dependencies {
  datasets: Datasets;
}

const VersionNumber = Type.String({
  pattern: '^([1-9][0-9]{0,8}|latest)$',
  description: 'A number, or `latest`',
});
const VersionParams = Type.Object({ name: Type.String({ minLength: 1 }), version: VersionNumber });
const tag = 'datasets';

/** Snapshots of history: listed, compared, deleted. */
export function datasetRoutes({ datasets }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    readRoutes(server, datasets);
    diffRoute(server, datasets);
    route(server, {
      method: 'DELETE',
      url: '/api/v1/datasets/:name/versions/:version',
      permission: 'datasets.write',
      summary: 'Delete the data of a version that no model refers to; the record of its sources stays',
      tag,
      params: VersionParams,
      answer: VersionShape,
      handle: async ({ params: { name, version }, caller }) => {
        const found = await datasets.version(name, numberOf(version));
        return versionToJson(await datasets.delete(name, found.version, actorOf(caller)));
      },
    });
  };
}

/** `latest`, or the number. */
export function numberOf(version: string): number | 'latest' {
  return version === 'latest' ? version : Number(version);
}

function readRoutes(server: FastifyInstance, datasets: Datasets): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/datasets',
    permission: 'datasets.read',
    summary: 'Every dataset with its newest version',
    tag,
    answer: pageOf(DatasetShape),
    // As many as people defined: no page is cut.
    handle: async () => {
      const newest = await datasets.newest();
      const items = datasets.definitions().map((each) => datasetToJson(each, newest.get(each.name)));
      return { items, nextCursor: null };
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/datasets/:name',
    permission: 'datasets.read',
    summary: 'A dataset with its newest version',
    tag,
    params: NameParams,
    answer: DatasetShape,
    handle: async ({ params: { name } }) => {
      const definition = datasets.definition(name);
      return datasetToJson(definition, (await datasets.newest()).get(name));
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/datasets/:name/versions',
    permission: 'datasets.read',
    summary: 'The newest 100 versions of a dataset, newest first, including deleted ones',
    tag,
    params: NameParams,
    answer: pageOf(VersionShape),
    handle: async ({ params: { name } }) => ({
      items: (await datasets.versions(name)).map(versionToJson),
      nextCursor: null,
    }),
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/datasets/:name/versions/:version',
    permission: 'datasets.read',
    summary: 'A version: its sources, its columns and their distributions, the models trained on it',
    tag,
    params: VersionParams,
    answer: VersionShape,
    handle: async ({ params: { name, version } }) =>
      versionToJson(await datasets.version(name, numberOf(version))),
  });
}

function diffRoute(server: FastifyInstance, datasets: Datasets): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/datasets/:name/diff',
    permission: 'datasets.export',
    summary: 'Compare two versions: columns, rows by their keys and time, distributions',
    tag,
    params: NameParams,
    query: Type.Object({ from: VersionNumber, to: VersionNumber }, { additionalProperties: false }),
    answer: DiffShape,
    handle: async ({ params: { name }, query: { from, to } }) =>
      diffVersions(
        datasets,
        await datasets.version(name, numberOf(from)),
        await datasets.version(name, numberOf(to)),
      ),
  });
}
