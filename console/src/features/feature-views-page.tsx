import { Group, Text } from '@mantine/core';
import { IconTable } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type FeatureView, featureViewsQuery } from '../api/features.ts';
import { Badge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { PageLink } from '../display/link.tsx';
import { LongList } from '../display/long-list.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty, LoadingPanel } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { FeatureJoins } from './feature-joins.tsx';
import { FeatureServices } from './feature-services.tsx';

/** Every feature view with how fresh it is. */
export function FeatureViewsPage() {
  const views = useQuery(featureViewsQuery);
  return (
    <Page
      title="Features"
      subtitle="What is known about customers and things when a decision is made, and how fresh it is."
      actions={
        <CopyAs
          what="This list"
          command={{ method: 'GET', path: '/api/v1/features/views', cli: 'features list' }}
        />
      }
    >
      <Answer query={views} loading={<LoadingPanel />}>
        {({ items }) =>
          items.length === 0 ? (
            <Panel>
              <Empty title="No feature view yet" icon={<IconTable size={32} />}>
                Put one into <code className="mono">features/</code> of a project and apply it.
              </Empty>
            </Panel>
          ) : (
            <LongList items={items} textOf={({ name }) => name}>
              {(shown) => <ViewTable views={shown} />}
            </LongList>
          )
        }
      </Answer>
      {/* Drawn with the list above, which would push them down when it comes. */}
      {!views.isPending && (
        <>
          <FeatureServices />
          <FeatureJoins />
        </>
      )}
    </Page>
  );
}

function ViewTable({ views }: { views: readonly FeatureView[] }) {
  const navigate = useNavigate();
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>View</th>
          <th>Kind</th>
          <th>Entity</th>
          <th className="wide-only">Services</th>
          <th className="wide-only end">Features</th>
          <th className="end">Newest</th>
        </tr>
      </thead>
      <tbody>
        {views.map(({ name, kind, entity, status, description, features, services, newest, lateEvents }) => (
          <tr
            key={name}
            data-clickable="true"
            onClick={() => void navigate({ to: '/features/$name', params: { name } })}
          >
            <td>
              <Group gap="xs">
                <PageLink to="/features/$name" params={{ name }} fw={500} size="sm">
                  {name}
                </PageLink>
                {status === 'building' && <Badge tone="active">building</Badge>}
                {status === 'not-materialized' && <Badge tone="attention">not online yet</Badge>}
                {lateEvents > 0 && <Badge tone="attention">{lateEvents} late</Badge>}
              </Group>
              <Text size="xs" c="dimmed" className="wide-only">
                {description}
              </Text>
            </td>
            <td>{kind}</td>
            <td>{entity ?? ''}</td>
            <td className="wide-only">{services.join(', ')}</td>
            <td className="wide-only end">{features.length}</td>
            <td className="end">
              <Time at={newest} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
