import { Button, Group, NumberInput, Stack, Text, Textarea } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { JsonObject, Task } from '../api/shapes.ts';
import { label } from '../display/format.ts';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';
import { useTaskAct } from './use-act.ts';

/** Puts right what a case shows; everybody is asked anew, and who did it leaves the answer to others. */
export function AmendDialog({ task, onClose }: { task: Task; onClose: () => void }) {
  const [context, setContext] = useState<JsonObject>(task.context);
  const navigate = useNavigate();
  const amend = useTaskAct(task.id, () => {
    notifications.show({ title: 'Put right', message: 'Everybody is asked anew.', color: 'teal' });
    onClose();
    void navigate({ to: '/inbox', search: {} });
  });
  const set = (name: string, value: string | number) =>
    setContext((before) => ({ ...before, [name]: value }));
  const texts = Object.entries(context).filter(
    ([, value]) => typeof value === 'string' || typeof value === 'number',
  );
  return (
    <Dialog opened onClose={onClose} title="Put right what is shown">
      <Stack gap="sm">
        <Text size="sm">
          Answers to what was shown before no longer count, everybody is asked anew, and you leave the answer
          to others.
        </Text>
        {texts.map(([name, value]) =>
          typeof value === 'number' ? (
            <NumberInput
              key={name}
              label={label(name)}
              value={value}
              onChange={(typed) => typeof typed === 'number' && set(name, typed)}
            />
          ) : (
            <Textarea
              key={name}
              label={label(name)}
              autosize
              value={String(value)}
              onChange={(event) => set(name, event.currentTarget.value)}
            />
          ),
        )}
        {amend.error && <ProblemView error={amend.error} />}
        <Group>
          <Button
            loading={amend.isPending}
            onClick={() =>
              amend.mutate({ what: 'amend', body: { context, contextDigest: task.contextDigest } })
            }
          >
            Ask anew
          </Button>
          <Button variant="default" onClick={onClose}>
            Leave it
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
