import { Button, Group, Text } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { meQuery } from '../api/queries.ts';
import { withQuery } from '../api/request.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { Panel } from '../display/page.tsx';

/** What people answered as labelled examples to learn from: for whoever may take them out. */
export function LabelsPanel({ queue, from, answers }: { queue: string; from: string; answers: number }) {
  const me = useQuery(meQuery);
  if (!me.data?.permissions.includes('labels.export') || answers === 0) return null;
  const path = withQuery(`/api/v1/queues/${encodeURIComponent(queue)}/labels.jsonl`, { from });
  return (
    <Panel title="Answers as labels">
      <Group justify="space-between">
        <Text size="sm" c="dimmed" style={{ flex: '1 1 260px' }}>
          One line of JSON for each answer of this period: what was known, what was answered, and by whom,
          under a pseudonym. Answers about people who were erased are left out.
        </Text>
        <Group gap="xs">
          <CopyAs
            what="The labels"
            command={{ method: 'GET', path, cli: `labels export --queue ${queue}` }}
          />
          <Button
            component="a"
            href={path}
            download={`${queue}-labels.jsonl`}
            variant="default"
            leftSection={<IconDownload size={16} aria-hidden />}
          >
            Download
          </Button>
        </Group>
      </Group>
    </Panel>
  );
}
