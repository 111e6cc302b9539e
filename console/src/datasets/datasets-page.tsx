import { Text } from '@mantine/core';
import { IconDatabase } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type Dataset, datasetsQuery } from '../api/datasets.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { count } from '../display/format.ts';
import { PageLink } from '../display/link.tsx';
import { LongList } from '../display/long-list.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty, LoadingPanel } from '../display/states.tsx';
import { Time } from '../display/time.tsx';

/** Every dataset with its newest version. */
export function DatasetsPage() {
  const datasets = useQuery(datasetsQuery);
  return (
    <Page
      title="Datasets"
      subtitle="Training data: snapshots of history that never change, identified by their digest."
      actions={
        <CopyAs
          what="This list"
          command={{ method: 'GET', path: '/api/v1/datasets', cli: 'datasets list' }}
        />
      }
    >
      <Answer query={datasets} loading={<LoadingPanel />}>
        {({ items }) =>
          items.length === 0 ? (
            <Panel>
              <Empty title="No dataset yet" icon={<IconDatabase size={32} />}>
                Put one into <code className="mono">datasets/</code> of a project, apply it, and make a
                version with <code className="mono">aios datasets create</code>.
              </Empty>
            </Panel>
          ) : (
            <LongList items={items} textOf={({ name }) => name}>
              {(shown) => <DatasetTable datasets={shown} />}
            </LongList>
          )
        }
      </Answer>
    </Page>
  );
}

function DatasetTable({ datasets }: { datasets: readonly Dataset[] }) {
  const navigate = useNavigate();
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Dataset</th>
          <th className="wide-only">Features</th>
          <th className="end">Version</th>
          <th className="end">Rows</th>
          <th className="wide-only end">Made</th>
        </tr>
      </thead>
      <tbody>
        {datasets.map(({ name, definition: { description, service, views = [] }, newest }) => (
          <tr
            key={name}
            data-clickable="true"
            onClick={() => void navigate({ to: '/datasets/$name', params: { name } })}
          >
            <td>
              <PageLink to="/datasets/$name" params={{ name }} fw={500} size="sm">
                {name}
              </PageLink>
              <Text size="xs" c="dimmed" className="wide-only">
                {description}
              </Text>
            </td>
            <td className="wide-only">{service ?? views.join(', ')}</td>
            <td className="end">{newest ? `v${newest.version}` : 'none'}</td>
            <td className="end number">{newest ? count(newest.rows) : ''}</td>
            <td className="wide-only end">{newest && <Time at={newest.createdAt} />}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
