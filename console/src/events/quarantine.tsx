import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconShieldCheck } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { type Quarantined, quarantineQuery } from '../api/contracts.ts';
import { meQuery } from '../api/queries.ts';
import { act, type Problem } from '../api/request.ts';
import { PageLink } from '../display/link.tsx';
import { MoreButton, type PagedList } from '../display/more-button.tsx';
import { Dialog } from '../display/overlay.tsx';
import { Panel } from '../display/page.tsx';
import { Answer, Empty, ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { ChoosableTable } from './choosable-table.tsx';

interface Released {
  released: number;
  failed: { id: string; problem: Problem }[];
}

/** Events that their contract keeps apart: released when they fit by now, or given up with a reason. */
export function Quarantine({ events }: { events: PagedList<Quarantined> }) {
  return (
    <Answer query={events}>
      {({ pages }) => {
        const items = pages.flatMap((page) => page.items);
        return items.length === 0 ? (
          <Panel>
            <Empty title="Nothing in quarantine" icon={<IconShieldCheck size={32} />}>
              An event that does not fit a contract with <code className="mono">onInvalid: quarantine</code>{' '}
              waits here with the reason. No consumer sees it.
            </Empty>
          </Panel>
        ) : (
          <Stack gap="md">
            <ChoosableTable
              items={items}
              nameOf={({ event }) => event.id}
              headings={HEADINGS}
              cells={cellsOf}
              actions={(ids, clear) => <Acts ids={ids} onDone={clear} />}
            />
            <MoreButton query={events}>Show more of them</MoreButton>
          </Stack>
        );
      }}
    </Answer>
  );
}

const HEADINGS = (
  <>
    <th>Event</th>
    <th>Why it does not fit</th>
    <th className="wide-only">Contract</th>
    <th className="end">Arrived</th>
  </>
);

function cellsOf({ event, problem, contract, version, arrivedAt }: Quarantined) {
  return (
    <>
      <td className="mono">{event.id}</td>
      <td>
        <Text size="sm" className="anywhere">
          {problem.detail ?? problem.title}
        </Text>
      </td>
      <td className="wide-only">
        <PageLink to="/contracts/$name" params={{ name: contract }} size="sm">
          {contract} {version}
        </PageLink>
      </td>
      <td className="end">
        <Time at={arrivedAt} />
      </td>
    </>
  );
}

function Acts({ ids, onDone }: { ids: string[]; onDone: () => void }) {
  const me = useQuery(meQuery);
  const queries = useQueryClient();
  const [asking, question] = useDisclosure(false);
  const settled = () => {
    onDone();
    void queries.invalidateQueries({ queryKey: quarantineQuery.queryKey });
  };
  const release = useMutation({
    mutationFn: () => act<Released>('POST', '/api/v1/quarantine/release', { ids }),
    onSuccess: ({ released, failed }) =>
      notifications.show({
        title: `${released} released`,
        message: failed.length === 0 ? 'All fit by now.' : `${failed.length} still do not fit.`,
        color: failed.length === 0 ? 'teal' : 'red',
      }),
    onSettled: settled,
  });
  const discard = useMutation({
    mutationFn: (reason: string) =>
      Promise.all(ids.map((id) => act('POST', `/api/v1/quarantine/${id}/discard`, { reason }))),
    onSettled: settled,
  });
  if (!me.data?.permissions.includes('quarantine.resolve')) return null;
  const error = release.error ?? discard.error;
  return (
    <Stack gap="xs">
      <Group gap="xs">
        <Button disabled={ids.length === 0} loading={release.isPending} onClick={() => release.mutate()}>
          Release{ids.length > 0 ? ` (${ids.length})` : ''}
        </Button>
        <Button
          variant="default"
          disabled={ids.length === 0}
          loading={discard.isPending}
          onClick={question.open}
        >
          Discard
        </Button>
      </Group>
      <DiscardQuestion
        opened={asking}
        onClose={question.close}
        count={ids.length}
        onDiscard={(reason) => discard.mutate(reason)}
      />
      {error && <ProblemView error={error} />}
    </Stack>
  );
}

interface DiscardQuestionProps {
  opened: boolean;
  onClose: () => void;
  count: number;
  onDiscard: (reason: string) => void;
}

function DiscardQuestion({ opened, onClose, count, onDiscard }: DiscardQuestionProps) {
  const [reason, setReason] = useState('');
  return (
    <Dialog opened={opened} onClose={onClose} title={`Discard ${count} of them?`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onClose();
          onDiscard(reason.trim());
        }}
      >
        <Stack>
          <Text size="sm">No consumer will see them. The reason is kept in the audit log.</Text>
          <TextInput
            label="Reason to discard"
            data-autofocus
            value={reason}
            onChange={({ currentTarget }) => setReason(currentTarget.value)}
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Keep them
            </Button>
            <Button type="submit" color="red.8" disabled={reason.trim() === ''}>
              Discard them
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
