import { Group, Stack, Text } from '@mantine/core';
import { IconArrowsTransferDown } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { type Bridge, bridgesQuery } from '../api/bridges.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { count } from '../display/format.ts';
import { SidePanel } from '../display/overlay.tsx';
import { Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { BridgeDetails, BridgeState } from './bridge-details.tsx';

/** Connections to systems that have events of their own; a row opens where one stands, what is wrong and what can be done. */
export function Bridges() {
  const bridges = useQuery(bridgesQuery);
  const [shown, setShown] = useState<string>();
  const opened = bridges.data?.items.find(({ name }) => name === shown);
  return (
    <Stack gap="md">
      <Group gap="xs">
        <CopyAs what="This list" command={{ method: 'GET', path: '/api/v1/bridges', cli: 'bridges' }} />
      </Group>
      <Answer query={bridges}>
        {({ items }) => (
          <Panel padded={items.length === 0}>
            {items.length === 0 ? (
              <Empty title="No bridge" icon={<IconArrowsTransferDown size={32} />}>
                A bridge brings events from Kafka, AMQP, MQTT, NATS or a folder of files, or sends them there.
                Put one into <code className="mono">bridges/</code> of a project and apply it.
              </Empty>
            ) : (
              <BridgeTable bridges={items} onOpen={setShown} />
            )}
          </Panel>
        )}
      </Answer>
      <SidePanel opened={opened !== undefined} onClose={() => setShown(undefined)} title={opened?.name ?? ''}>
        {opened && <BridgeDetails bridge={opened} />}
      </SidePanel>
    </Stack>
  );
}

function BridgeTable({ bridges, onOpen }: { bridges: readonly Bridge[]; onOpen: (name: string) => void }) {
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Bridge</th>
          <th>How it goes</th>
          <th className="end">Passed</th>
          <th className="wide-only end">Put aside</th>
          <th className="wide-only">Place</th>
          <th className="wide-only end">Moved</th>
        </tr>
      </thead>
      <tbody>
        {bridges.map((bridge) => {
          const { name, direction, protocol, passed, rejected, position, movedAt } = bridge;
          return (
            <tr key={name} data-clickable="true" onClick={() => onOpen(name)}>
              <td style={{ overflowWrap: 'anywhere' }}>
                <button type="button" className="row-button" onClick={() => onOpen(name)}>
                  {name}
                </button>
                <Text size="xs" c="dimmed">
                  {direction === 'source' ? 'from' : 'to'} {protocol}
                </Text>
              </td>
              <td>
                <BridgeState bridge={bridge} />
              </td>
              <td className="end number">{count(passed)}</td>
              <td className="wide-only end number">{direction === 'source' ? count(rejected) : ''}</td>
              <td className="wide-only" style={{ overflowWrap: 'anywhere' }}>
                <Text size="xs" className={position ? 'mono' : ''} lineClamp={2}>
                  {placeOf(bridge)}
                </Text>
              </td>
              <td className="wide-only end">
                <Time at={movedAt} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function placeOf({ position, lag }: Bridge): string {
  if (position) return JSON.stringify(position);
  if (lag === undefined) return '';
  return lag === 0 ? 'at the end' : `${count(lag)} behind`;
}
