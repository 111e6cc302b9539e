import { Button, Group, JsonInput, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconArrowFork, IconRotate } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { meQuery, runQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import type { Json, Run, Step } from '../api/shapes.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';

const ENDED: readonly string[] = ['completed', 'failed', 'canceled'];

/** Does a step and what follows it again: in the run itself, once it has ended, or in a new one beside it. */
export function GoBack({ run, step }: { run: Run; step: Step }) {
  const me = useQuery(meQuery);
  const [opened, dialog] = useDisclosure(false);
  const may = me.data?.permissions ?? [];
  const ways = [
    ...(ENDED.includes(run.status) && may.includes('runs.control') ? (['retry'] as const) : []),
    ...(may.includes('runs.start') ? (['fork'] as const) : []),
  ];
  if (ways.length === 0) return null;
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        leftSection={<IconRotate size={14} />}
        onClick={dialog.open}
      >
        Rerun from here
      </Button>
      <Dialog opened={opened} onClose={dialog.close} title={`Again from “${step.name}”?`}>
        <GoBackForm run={run} step={step} ways={ways} onDone={dialog.close} />
      </Dialog>
    </>
  );
}

interface FormProps {
  run: Run;
  step: Step;
  ways: readonly ('retry' | 'fork')[];
  onDone: () => void;
}

function GoBackForm({ run, step, ways, onDone }: FormProps) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const given = step.input === undefined ? '' : JSON.stringify(step.input, null, 2);
  const [text, setText] = useState(given);
  const edited = text.trim() !== '' && text !== given;
  const input = edited ? parsed(text) : undefined;
  const isWrong = edited && input === undefined;
  const body = { step: step.key, ...(input === undefined ? {} : { input }) };
  const path = `/api/v1/runs/${run.id}`;
  const go = useMutation({
    mutationFn: (way: 'retry' | 'fork') => act<Run>('POST', `${path}/${way}`, body),
    onSuccess: (changed) => {
      queries.setQueryData(runQuery(changed.id).queryKey, changed);
      void queries.invalidateQueries({ queryKey: runQuery(run.id).queryKey });
      onDone();
      if (changed.id !== run.id) void navigate({ to: '/runs/$id', params: { id: changed.id } });
    },
  });
  return (
    <Stack>
      <Text size="sm">
        What came before “{step.name}” is kept; it and all that follows is done anew. An action that sends the
        same as before is sent under its old key, so that the other system knows it again.
      </Text>
      <JsonInput
        label="What the step is given"
        description="As JSON; left as it is, what the flow computes"
        value={text}
        onChange={setText}
        error={isWrong && 'This is not JSON'}
        autosize
        minRows={3}
        maxRows={14}
      />
      {go.error && <ProblemView error={go.error} />}
      <Group justify="flex-end">
        <CopyAs
          what="Do it again"
          command={{
            method: 'POST',
            path: `${path}/${ways[0]}`,
            body,
            cli: `runs ${ways[0]} ${run.id} --step '${step.key}'`,
          }}
        />
        {ways.includes('fork') && (
          <Button
            variant="default"
            leftSection={<IconArrowFork size={16} />}
            disabled={isWrong}
            loading={go.isPending}
            onClick={() => go.mutate('fork')}
          >
            In a new run
          </Button>
        )}
        {ways.includes('retry') && (
          <Button disabled={isWrong} loading={go.isPending} onClick={() => go.mutate('retry')}>
            In this run
          </Button>
        )}
      </Group>
    </Stack>
  );
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
