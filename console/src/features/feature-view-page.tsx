import { Group, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { type FeatureView, featureViewQuery } from '../api/features.ts';
import { Badge } from '../display/badge.tsx';
import { ChangeLink } from '../display/change-link.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { FactTable } from '../display/fact-table.tsx';
import { LineageLink } from '../display/lineage-link.tsx';
import { PageLink } from '../display/link.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { Materializations } from './materializations.tsx';
import { VectorLookup } from './vector-lookup.tsx';

const route = getRouteApi('/features/$name');

/** One feature view: its features, how fresh it is, what an entity has, and how its table comes online. */
export function FeatureViewPage() {
  const { name } = route.useParams();
  const view = useQuery(featureViewQuery(name));
  return (
    <Page
      title={name}
      parent={
        <PageLink to="/features" size="sm">
          Features
        </PageLink>
      }
      marks={view.data && <Badge tone="active">{view.data.kind}</Badge>}
      subtitle={view.data?.description}
      actions={
        <>
          {!view.error && <LineageLink node={`feature-view:${name}`} />}
          {!view.error && <ChangeLink kind="feature-view" name={name} />}
          <CopyAs
            what="This view"
            command={{
              method: 'GET',
              path: `/api/v1/features/views/${encodeURIComponent(name)}`,
              cli: `features show ${name}`,
            }}
          />
        </>
      }
    >
      <Answer query={view}>
        {(found) => (
          <Stack gap="md">
            <State view={found} />
            <Features view={found} />
            <VectorLookup view={found} />
            {found.kind === 'batch' && <Materializations view={name} />}
          </Stack>
        )}
      </Answer>
    </Page>
  );
}

function State({ view }: { view: FeatureView }) {
  const { version, status, entity, joinKeys, owner, tags = {}, newest, lateEvents, services } = view;
  const others = view.served.filter((each) => each.version !== version);
  const named = Object.entries(tags).map(([tag, value]) => `${tag}: ${value}`);
  return (
    <Panel title="State" padded={false}>
      <FactTable
        facts={{
          Version: `${version}, ${status === 'not-materialized' ? 'not online yet' : status}`,
          Entity: `${entity ?? 'none'} (${joinKeys.join(', ')})`,
          Owner: owner,
          Tags: named.join(', '),
          'Served beside it': others
            .map(({ version, inForce, heldBy }) =>
              [`${version}`, ...(inForce ? ['in force'] : []), ...heldBy].join(', '),
            )
            .join('; '),
          Services: services.join(', '),
          'Events that came too late': lateEvents === 0 ? '' : String(lateEvents),
          Newest: newest ? <Time at={newest} /> : 'nothing yet',
        }}
      />
    </Panel>
  );
}

function Features({ view }: { view: FeatureView }) {
  return (
    <Panel title="Features" padded={false}>
      <table className="rows">
        <thead>
          <tr>
            <th>Name</th>
            <th>Type</th>
            <th className="wide-only">Description</th>
          </tr>
        </thead>
        <tbody>
          {view.features.map(({ name, type, description, owner }) => (
            <tr key={name}>
              <td className="mono">{name}</td>
              <td>{type}</td>
              <td className="wide-only">
                <Group gap="xs">
                  {description}
                  {owner && <Badge tone="quiet">{owner}</Badge>}
                </Group>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
