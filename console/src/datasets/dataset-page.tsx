import { Anchor, Group, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import {
  type Dataset,
  type DatasetVersion,
  datasetPath,
  datasetQuery,
  datasetVersionsQuery,
} from '../api/datasets.ts';
import { meQuery } from '../api/queries.ts';
import { Badge } from '../display/badge.tsx';
import { ChangeLink } from '../display/change-link.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { FactTable } from '../display/fact-table.tsx';
import { bytes, count } from '../display/format.ts';
import { Id } from '../display/id.tsx';
import { PageLink } from '../display/link.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { VersionLinks } from '../display/version-links.tsx';
import { Who } from '../display/who.tsx';
import { ColumnTable } from './column-table.tsx';
import { DatasetBuilds } from './dataset-builds.tsx';

const route = getRouteApi('/datasets/$name');

/** One dataset: its versions, what one of them was made of, how its columns lie, and the models that were trained on it. */
export function DatasetPage() {
  const { name } = route.useParams();
  const { version: wanted } = route.useSearch();
  const dataset = useQuery(datasetQuery(name));
  const versions = useQuery(datasetVersionsQuery(name));
  return (
    <Page
      title={name}
      parent={
        <PageLink to="/datasets" size="sm">
          Datasets
        </PageLink>
      }
      subtitle={dataset.data?.definition.description}
      actions={
        <>
          {!dataset.error && <ChangeLink kind="dataset" name={name} />}
          <CopyAs
            what="This dataset"
            command={{ method: 'GET', path: datasetPath(name), cli: `datasets show ${name}` }}
          />
        </>
      }
    >
      <Answer query={versions}>
        {({ items }) => {
          const shown =
            items.find(({ version }) => String(version) === wanted) ??
            items.find(({ deletedAt }) => !deletedAt) ??
            items[0];
          return (
            <Stack gap="md">
              <DatasetBuilds name={name} />
              <Versions versions={items} selected={shown?.version} />
              {shown && <Made version={shown} dataset={dataset.data} />}
              {shown && <ColumnTable version={shown} />}
            </Stack>
          );
        }}
      </Answer>
    </Page>
  );
}

function Versions({
  versions,
  selected,
}: {
  versions: readonly DatasetVersion[];
  selected: number | undefined;
}) {
  const navigate = route.useNavigate();
  const { name } = route.useParams();
  const choose = (version: number) =>
    void navigate({ search: (before) => ({ ...before, version: String(version) }), replace: true });
  if (versions.length === 0) {
    return (
      <Panel title="Versions">
        <Empty title="No version yet">
          Make one with <code className="mono">aios datasets create {name}</code>.
        </Empty>
      </Panel>
    );
  }
  return (
    <Panel title="Versions" padded={false}>
      <table className="rows">
        <thead>
          <tr>
            <th>Version</th>
            <th className="end">Rows</th>
            <th className="wide-only end">Size</th>
            <th className="wide-only">Digest</th>
            <th className="wide-only">Made</th>
            <th className="end">Models</th>
          </tr>
        </thead>
        <tbody>
          {versions.map(({ version, rows, sizeBytes, digest, createdAt, createdBy, models, deletedAt }) => (
            <tr
              key={version}
              data-clickable="true"
              aria-selected={version === selected}
              onClick={() => choose(version)}
            >
              <td>
                <Group gap="xs">
                  <button type="button" className="row-button" onClick={() => choose(version)}>
                    v{version}
                  </button>
                  {deletedAt && <Badge tone="quiet">deleted</Badge>}
                </Group>
              </td>
              <td className="end number">{count(rows)}</td>
              <td className="wide-only end number">{bytes(sizeBytes)}</td>
              <td className="wide-only">
                <Id value={digest} />
              </td>
              <td className="wide-only">
                <Time at={createdAt} /> by <Who id={createdBy} />
              </td>
              <td className="end number">{models.length === 0 ? '' : count(models.length)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Made({ version, dataset }: { version: DatasetVersion; dataset: Dataset | undefined }) {
  const { query, parts, models, deletedAt } = version;
  const { owner, licence, retention, intendedUses = [] } = dataset?.definition ?? {};
  const numbers = Object.entries(parts ?? {}).map(([part, number]) => `${part} ${count(number)}`);
  const trained = models.length === 0 ? 'none' : <VersionLinks to="/models/$name" versions={models} />;
  return (
    <Panel title={`Version ${version.version}`} padded={false}>
      <FactTable
        facts={{
          Owner: owner,
          Licence: licence,
          'Rows are': entitiesOf(version),
          'Made with': query.pins.map(({ name, version: number }) => `${name} ${number}`).join(', '),
          'Recorded by': query.createdBefore,
          Parts: numbers.join(', '),
          'Intended for': intendedUses.join('; '),
          'Kept for': retention,
          'Models trained on it': trained,
          Files: <Files version={version} isGone={deletedAt !== undefined} />,
        }}
      />
    </Panel>
  );
}

function entitiesOf({ query: { entities } }: DatasetVersion): string {
  if (entities.events)
    return `events of the type ${entities.events.type}${entities.events.filter ? ` where ${entities.events.filter}` : ''}`;
  return entities.file ? `of a ${entities.file} file` : 'as they were sent';
}

function Files({ version: { dataset, version }, isGone }: { version: DatasetVersion; isGone: boolean }) {
  const me = useQuery(meQuery);
  const isOpen = !isGone && me.data?.permissions.includes('datasets.export');
  const path = `${datasetPath(dataset)}/versions/${version}`;
  const files: [string, string][] = [
    ...(isOpen
      ? ([
          ['Parquet', 'data'],
          ['CSV', 'data?format=csv'],
          ['JSON lines', 'data?format=jsonl'],
        ] as [string, string][])
      : []),
    ['Croissant', 'croissant'],
    ['Datasheet', 'datasheet'],
  ];
  return (
    <Group gap="sm">
      {files.map(([label, file]) => (
        <Anchor key={label} href={`${path}/${file}`} size="sm" target="_blank" rel="noopener">
          {label}
        </Anchor>
      ))}
    </Group>
  );
}
