import { Text } from '@mantine/core';
import { IconBrain } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { modelsQuery } from '../api/queries.ts';
import type { Model } from '../api/shapes.ts';
import { Badge, StatusBadge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { bytes, count, duration } from '../display/format.ts';
import { PageLink } from '../display/link.tsx';
import { LongList } from '../display/long-list.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty, LoadingPanel } from '../display/states.tsx';
import { Time } from '../display/time.tsx';

export function ModelsPage() {
  const models = useQuery({ ...modelsQuery, refetchInterval: 5_000 });
  return (
    <Page
      title="Models"
      subtitle="The models that decisions use: their versions, their cards, and how they are served."
      actions={
        <>
          <PageLink to="/experiments" size="sm">
            Experiments
          </PageLink>
          <CopyAs what="This list" command={{ method: 'GET', path: '/api/v1/models' }} />
        </>
      }
    >
      <Answer query={models} loading={<LoadingPanel />}>
        {({ items }) =>
          items.length === 0 ? (
            <Panel>
              <Empty title="No model yet" icon={<IconBrain size={32} />}>
                Put an ONNX file and its card into <code className="mono">models/</code> of a project and
                apply it.
              </Empty>
            </Panel>
          ) : (
            <LongList items={items} textOf={({ name }) => name}>
              {(shown) => <ModelTable models={shown} />}
            </LongList>
          )
        }
      </Answer>
    </Page>
  );
}

function ModelTable({ models }: { models: readonly Model[] }) {
  const navigate = useNavigate();
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Model</th>
          <th>Serves</th>
          <th className="wide-only">State</th>
          <th className="wide-only end">Size</th>
          <th className="end">Requests</th>
          <th className="wide-only end">p50</th>
          <th className="wide-only end">p95</th>
          <th className="wide-only">Newest version</th>
        </tr>
      </thead>
      <tbody>
        {models.map(({ name, aliases, versions, serving }) => {
          const newest = versions[0];
          return (
            <tr
              key={name}
              data-clickable="true"
              onClick={() => void navigate({ to: '/models/$name', params: { name } })}
            >
              <td>
                <PageLink to="/models/$name" params={{ name }} fw={500} size="sm">
                  {name}
                </PageLink>
                <Text size="xs" c="dimmed" className="wide-only">
                  {newest?.card.task}
                </Text>
              </td>
              <td>
                {Object.entries(aliases).map(([alias, version]) => (
                  <Badge key={alias} tone="good">
                    {alias} v{version}
                  </Badge>
                ))}
              </td>
              <td className="wide-only">{newest && <StatusBadge status={newest.status} />}</td>
              <td className="wide-only end number">{newest && bytes(newest.sizeBytes)}</td>
              <td className="end number">{count(serving?.requests ?? 0)}</td>
              <td className="wide-only end number">{serving ? duration(serving.p50Ms) : '–'}</td>
              <td className="wide-only end number">{serving ? duration(serving.p95Ms) : '–'}</td>
              <td className="wide-only">
                <Time at={newest?.createdAt} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
