import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { consumerGroupsQuery } from '../api/webhooks.ts';
import { count } from '../display/format.ts';
import { LongList } from '../display/long-list.tsx';
import { Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';

/** Who reads the log, and how far each is. */
export function ConsumerGroups() {
  const groups = useQuery({ ...consumerGroupsQuery, refetchInterval: 2_000 });
  return (
    <Answer query={groups}>
      {({ items }) =>
        items.length === 0 ? (
          <Panel>
            <Empty title="No consumer groups">
              Features, flows and webhooks each read the log as a group of their own.
            </Empty>
          </Panel>
        ) : (
          <LongList items={items} textOf={({ group }) => group}>
            {(shown) => (
              <table className="rows">
                <thead>
                  <tr>
                    <th>Group</th>
                    <th className="end">Processes</th>
                    <th className="end">Events behind</th>
                  </tr>
                </thead>
                <tbody>
                  {shown.map(({ group, lag, partitions }) => (
                    <tr key={group}>
                      <td>
                        <Text size="sm" className="mono" style={{ overflowWrap: 'anywhere' }}>
                          {group}
                        </Text>
                      </td>
                      <td className="end number">
                        {new Set(partitions.flatMap(({ owner }) => owner ?? [])).size}
                      </td>
                      <td className="end number">{count(lag)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )}
          </LongList>
        )
      }
    </Answer>
  );
}
