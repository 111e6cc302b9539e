import { Group, Stack, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconActivity } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import type { LoggedEvent } from '../api/events.ts';
import { eventsQuery } from '../api/queries.ts';
import { withQuery } from '../api/request.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { JsonView } from '../display/json-view.tsx';
import { MoreButton } from '../display/more-button.tsx';
import { SidePanel } from '../display/overlay.tsx';
import { Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';

const route = getRouteApi('/events');
const FILTERS = [
  ['type', 'Type, such as order.placed'],
  ['subject', 'Subject'],
  ['source', 'Source'],
  ['filter', 'CEL, such as data.total > 9.0'],
] as const;
const TYPED_MS = 300;

/** The log, newest first; a row opens its event. */
export function EventLog() {
  const { type, subject, source, filter } = route.useSearch();
  const events = useInfiniteQuery({
    ...eventsQuery({ type, subject, source, filter }),
    refetchInterval: 5_000,
  });
  const [shown, setShown] = useState<LoggedEvent>();
  const items = events.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Stack gap="md">
      <Group gap="xs">
        {FILTERS.map(([name, hint]) => (
          <Filter key={name} name={name} hint={hint} />
        ))}
        <CopyAs
          what="This list"
          command={{ method: 'GET', path: withQuery('/api/v1/events', { type, subject, source, filter }) }}
        />
      </Group>
      <Panel padded={false}>
        <Answer query={events}>
          {() => (
            <EventTable
              events={items}
              filtered={[type, subject, source, filter].some((each) => each !== undefined)}
              onOpen={setShown}
            />
          )}
        </Answer>
      </Panel>
      <MoreButton query={events}>Show older events</MoreButton>
      <SidePanel opened={shown !== undefined} onClose={() => setShown(undefined)} title={shown?.type ?? ''}>
        <JsonView value={shown} label="The event" />
      </SidePanel>
    </Stack>
  );
}

function Filter({ name, hint }: { name: (typeof FILTERS)[number][0]; hint: string }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const tell = useDebouncedCallback(
    (value: string) =>
      void navigate({
        search: (before) => ({ ...before, [name]: value.trim() || undefined }),
        replace: true,
      }),
    TYPED_MS,
  );
  return (
    <TextInput
      aria-label={hint}
      placeholder={hint}
      defaultValue={search[name] ?? ''}
      onChange={(event) => tell(event.currentTarget.value)}
      w={{ base: '100%', xs: 230 }}
    />
  );
}

function EventTable({
  events,
  filtered,
  onOpen,
}: {
  events: readonly LoggedEvent[];
  filtered: boolean;
  onOpen: (event: LoggedEvent) => void;
}) {
  if (events.length === 0)
    return (
      <Empty
        title={filtered ? 'No event fits these filters' : 'No event has come in yet'}
        icon={<IconActivity size={32} />}
      >
        {filtered ? (
          'Remove one of them.'
        ) : (
          <>
            Post one to <code className="mono">/api/v1/events</code>, as a CloudEvent of a type that has a
            contract.
          </>
        )}
      </Empty>
    );
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Type</th>
          <th>Subject or id</th>
          <th className="wide-only">Source</th>
          <th className="wide-only end">Place</th>
          <th className="end">Recorded</th>
        </tr>
      </thead>
      <tbody>
        {events.map((event) => (
          <tr key={`${event.partition} ${event.offset}`} data-clickable="true" onClick={() => onOpen(event)}>
            <td>
              <button type="button" className="row-button" onClick={() => onOpen(event)}>
                {event.type}
              </button>
            </td>
            <td className="mono" style={{ overflowWrap: 'anywhere' }}>
              {typeof event.subject === 'string' ? event.subject : event.id}
            </td>
            <td className="wide-only mono">{event.source}</td>
            <td className="wide-only end number">
              {event.partition}:{event.offset}
            </td>
            <td className="end">
              <Time at={event.recordedAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
