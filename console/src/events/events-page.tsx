import { Group, Tabs } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { type RefObject, useEffect, useRef } from 'react';
import { bridgesQuery } from '../api/bridges.ts';
import { quarantineQuery } from '../api/contracts.ts';
import { deadLettersQuery } from '../api/queries.ts';
import { Badge } from '../display/badge.tsx';
import { count } from '../display/format.ts';
import type { PagedList } from '../display/more-button.tsx';
import { Page } from '../display/page.tsx';
import { Bridges } from './bridges.tsx';
import { ConsumerGroups } from './consumer-groups.tsx';
import { DeadLetters } from './dead-letters.tsx';
import { EventLog } from './event-log.tsx';
import { Quarantine } from './quarantine.tsx';
import { Webhooks } from './webhooks.tsx';

const route = getRouteApi('/events');

/** How many of a list were read, with a plus where it goes on; nothing for none. */
function readSoFar({ data, hasNextPage }: Pick<PagedList, 'data' | 'hasNextPage'>): string | undefined {
  const read = data?.pages.reduce((sum, { items }) => sum + items.length, 0) ?? 0;
  return read === 0 ? undefined : `${count(read)}${hasNextPage ? '+' : ''}`;
}

/** The row of tabs, which is wider than a phone: the one that a link leads to is brought into sight. */
function useChosenInSight(tab: string, marked: string): RefObject<HTMLDivElement | null> {
  const list = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a mark that comes pushes the tabs after it along
  useEffect(() => {
    const chosen = list.current?.querySelector('[aria-selected="true"]');
    if (list.current && chosen instanceof HTMLElement)
      list.current.scrollLeft = chosen.offsetLeft - (list.current.clientWidth - chosen.offsetWidth) / 2;
  }, [tab, marked]);
  return list;
}

export function EventsPage() {
  const { tab = 'log' } = route.useSearch();
  const navigate = route.useNavigate();
  const letters = useInfiniteQuery({ ...deadLettersQuery, refetchInterval: 5_000 });
  const quarantine = useInfiniteQuery({ ...quarantineQuery, refetchInterval: 5_000 });
  const bridges = useQuery(bridgesQuery);
  const open = readSoFar(letters);
  const kept = readSoFar(quarantine);
  const failing = bridges.data?.items.filter(({ state }) => state === 'failing').length ?? 0;
  const list = useChosenInSight(tab, [open !== undefined, kept !== undefined, failing > 0].join());
  return (
    <Page
      title="Events"
      subtitle="Incoming events in the order they were committed, and those that could not be handled."
    >
      <Tabs
        value={tab}
        onChange={(next) => void navigate({ search: next === 'log' ? {} : { tab: next ?? 'log' } })}
        keepMounted={false}
      >
        <Tabs.List mb="md" className="tab-row" ref={list}>
          <Tabs.Tab value="log">Log</Tabs.Tab>
          <Tabs.Tab value="dead-letters">
            <Group gap={8} wrap="nowrap">
              Dead letters
              {open && <Badge tone="bad">{open}</Badge>}
            </Group>
          </Tabs.Tab>
          <Tabs.Tab value="quarantine">
            <Group gap={8} wrap="nowrap">
              Quarantine
              {kept && <Badge tone="attention">{kept}</Badge>}
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
