import { Box, Button, Group, SimpleGrid, Stack, Text } from '@mantine/core';
import { IconPencil } from '@tabler/icons-react';
import { useState } from 'react';
import type { Json, Me, Task, TaskReview } from '../api/shapes.ts';
import { Badge, OutcomeBadge } from '../display/badge.tsx';
import { label } from '../display/format.ts';
import { Time } from '../display/time.tsx';
import { AmendDialog } from './amend-dialog.tsx';
import { noticeOf, progressOf } from './review-words.ts';

/** How a case is answered that several people answer: what is asked of each, who has answered, what an adjudicator decides between. */
export function ReviewPanel({ task, review, me }: { task: Task; review: TaskReview; me: Me }) {
  const [amending, setAmending] = useState(false);
  const notice = noticeOf(review);
  const progress = progressOf(review);
  const waits = task.endedAt === undefined;
  const votes = review.votes ?? [];
  const mayAmend = waits && review.amendable && me.permissions.includes('tasks.act');
  if (!notice && !progress && votes.length === 0 && !mayAmend) return null;
  return (
    <Box
      className="tone-active"
      component="section"
      aria-label="How this case is answered"
      p="md"
      style={{ borderInlineStart: '3px solid var(--tone-line)', background: 'var(--page)', borderRadius: 8 }}
    >
      <Stack gap={6}>
        {notice && waits && (
          <>
            <Text fw={600}>{notice.title}</Text>
            <Text size="sm">{notice.text}</Text>
          </>
        )}
        {progress && (
          <Text size="sm" c="dimmed">
            {progress}
          </Text>
        )}
        {review.form !== 'single' && votes.length > 0 && <Votes votes={votes} />}
        {review.answers && <Answers answers={review.answers} />}
        {mayAmend && (
          <Button
            variant="default"
            size="xs"
            w="fit-content"
            leftSection={<IconPencil size={14} />}
            onClick={() => setAmending(true)}
          >
            Put right what is shown
          </Button>
        )}
      </Stack>
      {amending && <AmendDialog task={task} onClose={() => setAmending(false)} />}
    </Box>
  );
}

function Votes({ votes }: { votes: NonNullable<TaskReview['votes']> }) {
  return (
    <ul aria-label="Answers so far" style={{ listStyle: 'none', margin: 0, padding: 0 }}>
      {votes.map(({ by, outcome, role, at }) => (
        <li key={`${by} ${at}`}>
          <Group gap={8} fz="sm" py={2}>
            <Text fw={550} size="sm">
              {by}
            </Text>
            <OutcomeBadge outcome={outcome} />
            {role === 'adjudicator' && <Badge tone="quiet">decided</Badge>}
            <Text size="sm" c="dimmed">
              <Time at={at} />
            </Text>
          </Group>
        </li>
      ))}
    </ul>
  );
}

function Answers({ answers }: { answers: readonly Json[] }) {
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }} mt={4}>
      {answers.map((answer, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they have an order and no names
        <Box key={index} className="panel" p="sm" component="section" aria-label={`Answer ${index + 1}`}>
          <Text size="xs" c="dimmed" mb={4}>
            Answer {index + 1}
          </Text>
          {fieldsOf(answer).map(([name, value]) => (
            <Text key={name} size="sm" style={{ overflowWrap: 'anywhere' }}>
              <Text span c="dimmed" size="sm">
                {label(name)}:{' '}
              </Text>
              {value}
            </Text>
          ))}
        </Box>
      ))}
    </SimpleGrid>
  );
}

function fieldsOf(answer: Json): [string, string][] {
  const fields =
    answer !== null && typeof answer === 'object' && !Array.isArray(answer) ? answer : { answer };
  return Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
}
