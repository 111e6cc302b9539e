import { Button, CloseButton, Group, Select, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconRoute, IconSearch } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { meQuery, type RunFilters, runsPath, runsQuery, workflowsQuery } from '../api/queries.ts';
import { withQuery } from '../api/request.ts';
import { RUN_STATUSES } from '../api/shapes.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { PageLink } from '../display/link.tsx';
import { MoreButton } from '../display/more-button.tsx';
import { Page, Panel } from '../display/page.tsx';
import { RunTable } from '../display/run-table.tsx';
import { Answer, Empty, Loading } from '../display/states.tsx';
import { BulkBar, type Selection } from './bulk-bar.tsx';

const route = getRouteApi('/runs');
const PAGE = 30;
const TYPED_MS = 250;
const HOUR_MS = 3_600_000;
const TIMES = [
  { value: '1', label: 'Last hour' },
  { value: '24', label: 'Last 24 hours' },
  { value: '168', label: 'Last 7 days' },
];

/** The start of a window, to the minute, so that the question and its kept answer stay the same for that long. */
function sinceOf(hours: string | undefined): string | undefined {
  if (hours === undefined || !(Number(hours) > 0)) return undefined;
  return new Date(Math.floor(Date.now() / 60_000) * 60_000 - Number(hours) * HOUR_MS).toISOString();
}

const NONE: Selection = { ids: [], all: false };
const ATTRIBUTE = /^([A-Za-z][A-Za-z0-9_]*(?:\.(?:gte?|lte?))?)=(.+)$/;

/** What the address says, as filters: a search such as `orderId=o-1` is for an attribute. */
function filtersOf({
  since,
  q,
  ...rest
}: Partial<Record<'workflow' | 'version' | 'status' | 'since' | 'q', string>>) {
  const attribute = ATTRIBUTE.exec(q ?? '');
  const filters: RunFilters = { ...rest, from: sinceOf(since) };
  if (attribute) filters.attribute = { name: attribute[1]!, value: attribute[2]! };
  else if (q) filters.q = q;
  return filters;
}

function pickingOf({ ids, all }: Selection, select: (selection: Selection) => void) {
  return {
    isPicked: (id: string) => all || ids.includes(id),
    toggle: (id: string) =>
      select({ all: false, ids: ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id] }),
  };
}

/** What else there is of runs. */
function OtherPages({ workflow }: { workflow: string | undefined }) {
  return (
    <>
      <PageLink to="/runs/versions" search={{ workflow }} size="sm">
        Versions
      </PageLink>
      <PageLink to="/runs/queues" size="sm">
        Queues
      </PageLink>
      <PageLink to="/runs/schedules" size="sm">
        Schedules
      </PageLink>
    </>
  );
}

export function RunsPage() {
  const search = route.useSearch();
  const filters = filtersOf(search);
  const me = useQuery(meQuery);
  // Picked under other filters is not picked: what is acted on is what is seen.
  const shown = JSON.stringify(filters);
  const [picked, pick] = useState({ under: shown, selection: NONE });
  const selection = picked.under === shown ? picked.selection : NONE;
  const select = (next: Selection) => pick({ under: shown, selection: next });
  const runs = useInfiniteQuery(runsQuery(filters, PAGE));
  const items = runs.data?.pages.flatMap((page) => page.items) ?? [];
  const filtered = Object.keys(search).length > 0;
  const path = withQuery('/api/v1/runs', { ...runsPath(filters), limit: PAGE });
  const cli = [
    'runs',
    search.workflow && `--workflow ${search.workflow}`,
    search.version && `--of-version ${search.version}`,
    search.status && `--status ${search.status}`,
    filters.attribute && `--attr '${filters.attribute.name}=${filters.attribute.value}'`,
  ]
    .filter(Boolean)
    .join(' ');
  return (
    <Page
      title="Runs"
      subtitle="Every case, newest first. The address contains the filters, so you can share it."
      actions={
        <>
          <OtherPages workflow={search.workflow} />
          <CopyAs what="This list" command={{ method: 'GET', path, cli }} />
        </>
      }
    >
      <Filters />
      {(selection.all || selection.ids.length > 0) && (
        <BulkBar
          selection={selection}
          filters={filters}
          onAll={() => select({ ids: [], all: true })}
          onClear={() => select(NONE)}
        />
      )}
      <Panel padded={false}>
        <Answer query={runs} loading={<Loading lines={10} />}>
          {() => (
            <RunTable
              runs={items}
              picking={
                me.data?.permissions.includes('runs.control') ? pickingOf(selection, select) : undefined
              }
              empty={
                <Empty
                  icon={<IconRoute size={32} />}
                  title={filtered ? 'No run fits these filters' : 'Nothing has run yet'}
                >
                  {filtered ? 'Remove one of them.' : 'A run starts with an event, or by a call of the API.'}
                </Empty>
              }
            />
          )}
        </Answer>
      </Panel>
      <MoreButton query={runs}>Show older runs</MoreButton>
    </Page>
  );
}

function Filters() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const workflows = useQuery(workflowsQuery);
  const change = (part: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true });
  return (
    <Group gap="xs">
      <SearchField value={search.q ?? ''} onChange={(q) => change({ q: q || undefined })} />
      <Select
        aria-label="Flow"
        placeholder="All flows"
        data={workflows.data?.items.map(({ name }) => name) ?? []}
        value={search.workflow ?? null}
        onChange={(workflow) => change({ workflow: workflow ?? undefined })}
        clearable
        w={{ base: '100%', xs: 170 }}
      />
      <Select
        aria-label="Status"
        placeholder="Every status"
        data={[...RUN_STATUSES]}
        value={search.status ?? null}
        onChange={(status) => change({ status: status ?? undefined })}
        clearable
        w={{ base: '48%', xs: 160 }}
      />
      <Select
        aria-label="Started"
        placeholder="Any time"
        data={TIMES}
        value={search.since ?? null}
        onChange={(since) => change({ since: since ?? undefined })}
        clearable
        w={{ base: '48%', xs: 160 }}
      />
      <FailedOnly shown={search.status === 'failed'} onChange={(status) => change({ status })} />
    </Group>
  );
}

/** The filter that is asked for most. */
function FailedOnly({ shown, onChange }: { shown: boolean; onChange: (status: string | undefined) => void }) {
  return (
    <Button
      variant="default"
      aria-pressed={shown}
      className="filter tone-bad"
      onClick={() => onChange(shown ? undefined : 'failed')}
    >
      Failed only
    </Button>
  );
}

function SearchField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  const tell = useDebouncedCallback(onChange, TYPED_MS);
  const set = (text: string) => {
    setTyped(text);
    tell(text.trim());
  };
  return (
    <TextInput
      aria-label="Search by id, subject or outcome"
      placeholder="Id, subject, outcome, or orderId=o-1"
      leftSection={<IconSearch size={16} aria-hidden />}
      rightSection={typed && <CloseButton size="sm" aria-label="Clear the search" onClick={() => set('')} />}
      value={typed}
      onChange={(event) => set(event.currentTarget.value)}
      w={{ base: '100%', xs: 320 }}
    />
  );
}
