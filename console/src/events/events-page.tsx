import { Group, Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { bridgesQuery } from '../api/bridges.ts';
import { quarantineQuery } from '../api/contracts.ts';
import { deadLettersQuery } from '../api/queries.ts';
import { Badge } from '../display/badge.tsx';
import { Page } from '../display/page.tsx';
import { Bridges } from './bridges.tsx';
import { ConsumerGroups } from './consumer-groups.tsx';
import { DeadLetters } from './dead-letters.tsx';
import { EventLog } from './event-log.tsx';
import { Quarantine } from './quarantine.tsx';
import { Webhooks } from './webhooks.tsx';

const route = getRouteApi('/events');

export function EventsPage() {
  const { tab = 'log' } = route.useSearch();
  const navigate = route.useNavigate();
  const letters = useQuery({ ...deadLettersQuery, refetchInterval: 5_000 });
  const quarantine = useQuery({ ...quarantineQuery, refetchInterval: 5_000 });
  const bridges = useQuery(bridgesQuery);
  const open = letters.data?.items.length ?? 0;
  const kept = quarantine.data?.items.length ?? 0;
  const failing = bridges.data?.items.filter(({ state }) => state === 'failing').length ?? 0;
  return (
    <Page
      title="Events"
      subtitle="What came in, in the order in which it was committed; and what could not be handled."
    >
      <Tabs
        value={tab}
        onChange={(next) => void navigate({ search: next === 'log' ? {} : { tab: next ?? 'log' } })}
        keepMounted={false}
      >
        <Tabs.List mb="md">
          <Tabs.Tab value="log">Log</Tabs.Tab>
          <Tabs.Tab value="dead-letters">
            <Group gap={8} wrap="nowrap">
              Dead letters
              {open > 0 && <Badge tone="bad">{open}</Badge>}
            </Group>
          </Tabs.Tab>
          <Tabs.Tab value="quarantine">
            <Group gap={8} wrap="nowrap">
              Quarantine
              {kept > 0 && <Badge tone="attention">{kept}</Badge>}
            </Group>
          </Tabs.Tab>
          <Tabs.Tab value="bridges">
            <Group gap={8} wrap="nowrap">
              Bridges
              {failing > 0 && <Badge tone="bad">{failing}</Badge>}
            </Group>
          </Tabs.Tab>
          <Tabs.Tab value="webhooks">Webhooks</Tabs.Tab>
          <Tabs.Tab value="groups">Consumer groups</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="log">
          <EventLog />
        </Tabs.Panel>
        <Tabs.Panel value="dead-letters">
          <DeadLetters letters={letters} />
        </Tabs.Panel>
        <Tabs.Panel value="quarantine">
          <Quarantine events={quarantine} />
        </Tabs.Panel>
        <Tabs.Panel value="bridges">
          <Bridges />
        </Tabs.Panel>
        <Tabs.Panel value="webhooks">
          <Webhooks />
        </Tabs.Panel>
        <Tabs.Panel value="groups">
          <ConsumerGroups />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}
