import { Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FeatureService, featureServicesQuery, type ListedView } from '../api/features.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { LineageLink } from '../display/lineage-link.tsx';
import { Panel } from '../display/page.tsx';
import { Answer } from '../display/states.tsx';

/** Every feature service: what a request for it names, and what it answers. Nothing while there is none. */
export function FeatureServices() {
  const services = useQuery(featureServicesQuery);
  if (services.data?.items.length === 0) return null;
  return (
    <Panel
      title="Services"
      padded={false}
      aside={
        <CopyAs
          what="The services"
          command={{ method: 'GET', path: '/api/v1/features/services', cli: 'features services' }}
        />
      }
    >
      <Answer query={services}>{({ items }) => <ServiceTable services={items} />}</Answer>
    </Panel>
  );
}

function ServiceTable({ services }: { services: readonly FeatureService[] }) {
  return (
    <table className="rows" aria-label="Feature services">
      <thead>
        <tr>
          <th>Service</th>
          <th>Keys</th>
          <th className="wide-only">Views</th>
          <th>Features</th>
          <th className="wide-only end">Lineage</th>
        </tr>
      </thead>
      <tbody>
        {services.map(({ name, description, joinKeys, views, features }) => (
          <tr key={name}>
            <td>
              <Text size="sm" fw={500}>
                {name}
              </Text>
              <Text size="xs" c="dimmed" className="wide-only">
                {description}
              </Text>
            </td>
            <td className="mono">{joinKeys.join(', ')}</td>
            <td className="wide-only" style={{ minWidth: 180 }}>
              <Stack gap={0}>
                {views.map((view) => {
                  const told = toldOf(view);
                  return (
                    <Text key={told} size="sm" className="mono">
                      {told}
                    </Text>
                  );
                })}
              </Stack>
            </td>
            <td className="mono">{features.join(', ')}</td>
            <td className="wide-only end">
              <LineageLink node={`feature-service:${name}`} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** `weather as origin (airport = origin_id)` */
function toldOf(listed: ListedView): string {
  if (typeof listed === 'string') return listed;
  const { view, name, joinKeyMap = {}, version } = listed;
  const keys = Object.entries(joinKeyMap).map(([key, other]) => `${key} = ${other}`);
  return [
    version === undefined ? view : `${view} ${version}`,
    ...(name === undefined ? [] : [`as ${name}`]),
    ...(keys.length === 0 ? [] : [`(${keys.join(', ')})`]),
  ].join(' ');
}
