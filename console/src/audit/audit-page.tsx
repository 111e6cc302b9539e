import { Group, Select, Text, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconBinaryTree } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import type { SyntheticEvent } from 'react';
import { auditQuery } from '../api/queries.ts';
import { withQuery } from '../api/request.ts';
import type { AuditEntry } from '../api/shapes.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { MoreButton } from '../display/more-button.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { Who } from '../display/who.tsx';
import { About } from './about.tsx';
import { EntryDrawer } from './entry-drawer.tsx';
import { ENTRY_KINDS } from './entry-kinds.ts';
import { VerifyPanel } from './verify-panel.tsx';

const route = getRouteApi('/audit');
const TYPED_MS = 300;

export function AuditPage() {
  const { object, kind, entry } = route.useSearch();
  const navigate = route.useNavigate();
  const entries = useInfiniteQuery(auditQuery({ object, kind }));
  const items = entries.data?.pages.flatMap((page) => page.items) ?? [];
  const open = (index: number | undefined) =>
    void navigate({
      search: (before) => ({ ...before, entry: index === undefined ? undefined : String(index) }),
      replace: true,
      resetScroll: false,
    });
  return (
    <Page
      title="Audit"
      subtitle="Every decision, answer, action and change, in a log that can grow but not be changed unnoticed."
      actions={
        <CopyAs
          what="This log"
          command={{
            method: 'GET',
            path: withQuery('/api/v1/audit/entries', { object, kind }),
            cli: 'verify',
          }}
        />
      }
    >
      <VerifyPanel />
      <Filters />
      <Panel padded={false}>
        <Answer query={entries}>
          {() =>
            items.length === 0 ? (
              <Empty
                title={object || kind ? 'No entry fits these filters' : 'Nothing has been recorded yet'}
                icon={<IconBinaryTree size={32} />}
              >
                Entries appear a moment after the change that they record.
              </Empty>
            ) : (
              <EntryTable entries={items} selected={entry} onOpen={open} />
            )
          }
        </Answer>
      </Panel>
      <MoreButton query={entries}>Show older entries</MoreButton>
      <EntryDrawer index={entry === undefined ? undefined : Number(entry)} onClose={() => open(undefined)} />
    </Page>
  );
}

function Filters() {
  const { object, kind } = route.useSearch();
  const navigate = route.useNavigate();
  const change = (part: { object?: string | undefined; kind?: string | undefined }) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true });
  const tell = useDebouncedCallback(
    (value: string) => change({ object: value.trim() || undefined }),
    TYPED_MS,
  );
  return (
    <Group gap="xs">
      <TextInput
        aria-label="Object, such as run:run_…"
        placeholder="Object, such as run:run_…"
        defaultValue={object ?? ''}
        onChange={(event) => tell(event.currentTarget.value)}
        w={{ base: '100%', xs: 320 }}
      />
      <Select
        aria-label="Kind"
        placeholder="Every kind"
        searchable
        data={[...ENTRY_KINDS]}
        value={kind ?? null}
        onChange={(value) => change({ kind: value ?? undefined })}
        clearable
        w={{ base: '100%', xs: 180 }}
      />
    </Group>
  );
}

interface EntryTableProps {
  entries: readonly AuditEntry[];
  selected: string | undefined;
  onOpen: (index: number) => void;
}

/** A link in a row is followed; the row itself does not open besides. */
function keep(event: SyntheticEvent): void {
  if (event.target instanceof HTMLAnchorElement) event.stopPropagation();
}

function EntryTable({ entries, selected, onOpen }: EntryTableProps) {
  return (
    <table className="rows">
      <thead>
        <tr>
          <th className="end">Entry</th>
          <th>What</th>
          <th>By</th>
          <th className="wide-only">About</th>
          <th className="end">When</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <tr
            key={entry.index}
            data-clickable="true"
            aria-selected={String(entry.index) === selected}
            onClick={() => onOpen(entry.index)}
          >
            <td className="end number">
              <button type="button" className="row-button" onClick={() => onOpen(entry.index)}>
                {entry.index}
              </button>
            </td>
            <td>
              {entry.action}{' '}
              <Text span size="xs" c="dimmed">
                {entry.kind}
              </Text>
            </td>
            <td className="anywhere">
              <Who id={entry.actor.id} />{' '}
              <Text span size="xs" c="dimmed">
                {entry.actor.kind}
              </Text>
            </td>
            <td className="wide-only anywhere" onClick={keep} onKeyDown={keep}>
              <About object={entry.object} />
            </td>
            <td className="end">
              <Time at={entry.at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
