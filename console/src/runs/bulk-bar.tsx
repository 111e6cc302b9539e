import { Button, Group, Progress, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { bulkQuery, meQuery, type RunFilters } from '../api/queries.ts';
import { act } from '../api/request.ts';
import { BULK_ACTIONS, type Bulk, type BulkAction } from '../api/shapes.ts';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';

const READ_MS = 500;

/** What is acted on: the runs that were picked, or all that the filters name. */
export interface Selection {
  ids: readonly string[];
  all: boolean;
}

interface BulkBarProps {
  selection: Selection;
  filters: RunFilters;
  onAll: () => void;
  onClear: () => void;
}

/** What can be done to many runs at once: each action counts first, and is done to exactly those that were counted. */
export function BulkBar({ selection, filters, onAll, onClear }: BulkBarProps) {
  const me = useQuery(meQuery);
  const [prepared, setPrepared] = useState<Bulk | undefined>();
  const prepare = useMutation({
    mutationFn: (action: BulkAction) => {
      const filter = selection.all ? bodyOf(filters) : { ids: selection.ids };
      return act<Bulk>('POST', '/api/v1/bulk-operations', { action, filter });
    },
    onSuccess: setPrepared,
  });
  const may = me.data?.permissions ?? [];
  const actions = BULK_ACTIONS.filter((action) =>
    may.includes(action === 'delete' ? 'runs.delete' : 'runs.control'),
  );
  if (actions.length === 0) return null;
  return (
    <Group gap="xs" role="region" aria-label="Selected runs">
      <Text size="sm">
        {selection.all ? 'All runs that fit these filters' : `${selection.ids.length} selected`}
      </Text>
      {actions.map((action) => (
        <Button
          key={action}
          size="compact-sm"
          variant="default"
          loading={prepare.isPending && prepare.variables === action}
          onClick={() => prepare.mutate(action)}
        >
          {label(action)}
        </Button>
      ))}
      {!selection.all && (
        <Button size="compact-sm" variant="subtle" onClick={onAll}>
          Select all that fit
        </Button>
      )}
      <Button size="compact-sm" variant="subtle" onClick={onClear}>
        Clear
      </Button>
      {prepare.error && <ProblemView error={prepare.error} />}
      {prepared && (
        <BulkDialog
          key={prepared.id}
          prepared={prepared}
          onClose={() => {
            setPrepared(undefined);
            onClear();
          }}
        />
      )}
    </Group>
  );
}

function BulkDialog({ prepared, onClose }: { prepared: Bulk; onClose: () => void }) {
  const { id, action, count, token } = prepared;
  const queries = useQueryClient();
  const start = useMutation({
    mutationFn: () => act<Bulk>('POST', `/api/v1/bulk-operations/${id}/start`, { token }),
  });
  const progress = useQuery({
    ...bulkQuery(id),
    enabled: start.isSuccess,
    refetchInterval: ({ state }) => (state.data?.status === 'completed' ? false : READ_MS),
  });
  const now = progress.data ?? start.data;
  const close = () => {
    void queries.invalidateQueries({ queryKey: ['runs'] });
    onClose();
  };
  return (
    <Dialog opened onClose={close} title={`${label(action)} ${count} ${count === 1 ? 'run' : 'runs'}?`}>
      <Stack>
        {now ? (
          <BulkState bulk={now} />
        ) : (
          <Text size="sm">
            {count === 0
              ? 'None of them is in a state for this.'
              : 'Those that were just counted, and no other. It is one audit entry with your name.'}
          </Text>
        )}
        {start.error && <ProblemView error={start.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={close}>
            {now ? 'Close' : 'Leave them'}
          </Button>
          {!now && count > 0 && (
            <Button
              color={action === 'delete' || action === 'cancel' ? 'red.8' : undefined}
              loading={start.isPending}
              onClick={() => start.mutate()}
            >
              {label(action)} {count}
            </Button>
          )}
        </Group>
      </Stack>
    </Dialog>
  );
}

function BulkState({ bulk: { status, count, done, skipped } }: { bulk: Bulk }) {
  const left = Object.entries(skipped);
  const over = done + left.reduce((sum, [, runs]) => sum + runs, 0);
  return (
    <Stack gap="xs" role="status">
      <Progress value={(100 * over) / Math.max(1, count)} aria-label="Progress" />
      <Text size="sm">
        {status === 'completed' ? 'Done' : 'Under way'}: {done} of {count}
      </Text>
      {left.map(([code, runs]) => (
        <Text size="sm" c="dimmed" key={code}>
          {runs} did not take it: {code}
        </Text>
      ))}
    </Stack>
  );
}

function bodyOf({ attribute, version, ...filters }: RunFilters) {
  return {
    ...filters,
    ...(version === undefined ? {} : { version: Number(version) }),
    ...(attribute ? { attributes: { [attribute.name]: attribute.value } } : {}),
  };
}

function label(action: BulkAction): string {
  return `${action[0]?.toUpperCase()}${action.slice(1)}`;
}
