import { Button, Group, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconMailOff, IconRefresh } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { DeadLetter } from '../api/events.ts';
import { deadLettersQuery, meQuery } from '../api/queries.ts';
import { act, type Problem } from '../api/request.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { MoreButton, type PagedList } from '../display/more-button.tsx';
import { Dialog } from '../display/overlay.tsx';
import { Panel } from '../display/page.tsx';
import { Answer, Empty, ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { ChoosableTable } from './choosable-table.tsx';

interface Replayed {
  replayed: number;
  failed: { id: string; problem: Problem }[];
}

export function DeadLetters({ letters }: { letters: PagedList<DeadLetter> }) {
  return (
    <Answer query={letters}>
      {({ pages }) => {
        const items = pages.flatMap((page) => page.items);
        return items.length === 0 ? (
          <Panel>
            <Empty title="No dead letter" icon={<IconMailOff size={32} />}>
              An event that a consumer group cannot handle waits here with the reason, and can be handed to it
              again.
            </Empty>
          </Panel>
        ) : (
          <Stack gap="md">
            <ChoosableTable
              items={items}
              nameOf={({ id, event }) => event.id ?? id}
              headings={HEADINGS}
              cells={cellsOf}
              actions={(ids, clear) => <ReplayBar ids={ids} onDone={clear} />}
            />
            <MoreButton query={letters}>Show more dead letters</MoreButton>
          </Stack>
        );
      }}
    </Answer>
  );
}

const HEADINGS = (
  <>
    <th>Event</th>
    <th>Why it was not handled</th>
    <th className="wide-only">Group</th>
    <th className="wide-only end">Tries</th>
    <th className="wide-only end">Failed</th>
  </>
);

function cellsOf({ event, problem, group, attempts, failedAt }: DeadLetter) {
  return (
    <>
      <td>
        <Text size="sm">{event.type}</Text>
        <Text size="xs" c="dimmed" className="mono">
          {event.id}
        </Text>
      </td>
      <td>
        <Text size="sm" className="anywhere">
          {firstLine(problem.detail ?? problem.title)}
        </Text>
        <Text size="xs" c="dimmed" className="mono">
          {problem.code}
        </Text>
      </td>
      <td className="wide-only">{group}</td>
      <td className="wide-only end number">{attempts}</td>
      <td className="wide-only end">
        <Time at={failedAt} />
      </td>
    </>
  );
}

/** An expression's error goes on with a picture of where it failed, which needs its lines and a fixed width. */
function firstLine(text: string | undefined): string | undefined {
  return text?.split('\n', 1)[0];
}

function ReplayBar({ ids, onDone }: { ids: string[]; onDone: () => void }) {
  const me = useQuery(meQuery);
  const queries = useQueryClient();
  const [asking, question] = useDisclosure(false);
  const read = () => queries.invalidateQueries({ queryKey: deadLettersQuery.queryKey });
  const replay = useMutation({
    mutationFn: () => act<Replayed>('POST', '/api/v1/dead-letters/replay', { ids }),
    onSuccess: ({ replayed, failed }) => {
      notifications.show({
        title: `${replayed} handled`,
        message:
          failed.length === 0
            ? 'None is left of those chosen.'
            : `${failed.length} failed again: ${failed[0]!.problem.title}`,
        color: failed.length === 0 ? 'teal' : 'red',
      });
      onDone();
      void read();
    },
  });
  const dismiss = useMutation({
    mutationFn: () => Promise.all(ids.map((id) => act('POST', `/api/v1/dead-letters/${id}/dismiss`))),
    onSettled: () => {
      onDone();
      void read();
    },
  });
  if (!me.data?.permissions.includes('dead-letters.replay')) return null;
  const error = replay.error ?? dismiss.error;
  return (
    <Stack gap="xs">
      <Group gap="xs">
        <Button
          leftSection={<IconRefresh size={16} />}
          disabled={ids.length === 0}
          loading={replay.isPending}
          onClick={() => replay.mutate()}
        >
          Hand again{ids.length > 0 ? ` (${ids.length})` : ''}
        </Button>
        <Button
          variant="default"
          disabled={ids.length === 0}
          loading={dismiss.isPending}
          onClick={question.open}
        >
          Dismiss
        </Button>
        <CopyAs
          what="This replay"
          command={{ method: 'POST', path: '/api/v1/dead-letters/replay', body: { ids } }}
        />
      </Group>
      <DismissQuestion
        opened={asking}
        onClose={question.close}
        count={ids.length}
        onDismiss={() => dismiss.mutate()}
      />
      {error && <ProblemView error={error} />}
    </Stack>
  );
}

interface DismissQuestionProps {
  opened: boolean;
  onClose: () => void;
  count: number;
  onDismiss: () => void;
}

function DismissQuestion({ opened, onClose, count, onDismiss }: DismissQuestionProps) {
  return (
    <Dialog opened={opened} onClose={onClose} title={`Dismiss ${count} of them?`}>
      <Stack>
        <Text size="sm">
          Their consumer group is not handed them any more, so what they would have started does not happen.
          They stay in the log of events.
        </Text>
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Keep them
          </Button>
          <Button
            color="red.8"
            onClick={() => {
              onClose();
              onDismiss();
            }}
          >
            Dismiss them
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
