import { Button, Group, SimpleGrid, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconHistory } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { schedulesQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { count } from '../display/format.ts';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';

interface Backfilled {
  times: number;
  alreadyRun: number;
}

/** Makes up for a past range of a schedule: the runs of its times, once each. */
export function Backfill({ workflow }: { workflow: string }) {
  const [opened, dialog] = useDisclosure(false);
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        leftSection={<IconHistory size={14} aria-hidden />}
        aria-label={`Back-fill ${workflow}`}
        onClick={dialog.open}
      >
        Back-fill
      </Button>
      <Dialog opened={opened} onClose={dialog.close} title={`Back-fill “${workflow}”`}>
        <BackfillForm workflow={workflow} onDone={dialog.close} />
      </Dialog>
    </>
  );
}

function BackfillForm({ workflow, onDone }: { workflow: string; onDone: () => void }) {
  const queries = useQueryClient();
  const [from, setFrom] = useState('');
  const [until, setUntil] = useState('');
  const body = { from: instantOf(from), until: instantOf(until) };
  // Instants in ISO 8601 sort as texts.
  const isWhole = body.from !== '' && body.from < body.until;
  const path = `/api/v1/workflows/${workflow}/schedule/backfill`;
  const fill = useMutation({
    mutationFn: () => act<Backfilled>('POST', path, body),
    onSettled: () => queries.invalidateQueries({ queryKey: schedulesQuery.queryKey }),
  });
  if (fill.data) return <BackfillDone {...fill.data} onDone={onDone} />;
  return (
    <Stack>
      <Text size="sm">
        Each due time of the range gets its run, one after the other as the schedule has it. A time that has a
        run already is left out, so that asking again does no harm.
      </Text>
      <SimpleGrid cols={{ base: 1, xs: 2 }}>
        <TextInput
          type="datetime-local"
          label="From"
          value={from}
          onChange={(event) => setFrom(event.currentTarget.value)}
        />
        <TextInput
          type="datetime-local"
          label="Until, not included"
          value={until}
          onChange={(event) => setUntil(event.currentTarget.value)}
        />
      </SimpleGrid>
      <Text size="xs" c="dimmed">
        In the time zone of this browser, {Intl.DateTimeFormat().resolvedOptions().timeZone}.
      </Text>
      {fill.error && <ProblemView error={fill.error} />}
      <Group justify="flex-end">
        {isWhole && (
          <CopyAs
            what="Back-fill"
            command={{
              method: 'POST',
              path,
              body,
              cli: `schedules ${workflow} --backfill --from ${body.from} --until ${body.until}`,
            }}
          />
        )}
        <Button disabled={!isWhole} loading={fill.isPending} onClick={() => fill.mutate()}>
          Start the runs
        </Button>
      </Group>
    </Stack>
  );
}

function BackfillDone({ times, alreadyRun, onDone }: Backfilled & { onDone: () => void }) {
  return (
    <Stack>
      <Text role="status">
        {times === 0 ? 'No run is started' : `${count(times)} ${times === 1 ? 'run is' : 'runs are'} started`}
        {alreadyRun > 0 && `; ${count(alreadyRun)} of the times had one already`}.
      </Text>
      <Group justify="flex-end">
        <Button onClick={onDone}>Close</Button>
      </Group>
    </Stack>
  );
}

/** What is not yet a time is nothing. */
function instantOf(local: string): string {
  const ms = local === '' ? Number.NaN : new Date(local).getTime();
  return Number.isNaN(ms) ? '' : new Date(ms).toISOString();
}
