import { Button, type ButtonProps, Group, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { type QueryKey, useMutation, useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { act, remove } from '../api/request.ts';
import { type Command, CopyAs } from './copy-as.tsx';
import { Dialog } from './overlay.tsx';
import { ProblemView } from './states.tsx';

interface ConfirmedButtonProps {
  label: string;
  /** Of the button that acts, where the label alone could mean either. */
  confirm?: string;
  /** For those who hear it: with what it acts on. */
  name?: string;
  question: string;
  /** What follows. */
  children: ReactNode;
  command: Command;
  /** Whether what is asked for is complete; it is when left out. */
  isReady?: boolean;
  /** What is read again then. */
  changes: QueryKey;
  isDestructive?: boolean;
  /** Where it is what a page is opened for. */
  isPrimary?: boolean;
  icon?: ReactNode;
  size?: ButtonProps['size'];
}

/** A button that asks before it acts, and says what came of it when it could not. */
export function ConfirmedButton({
  label,
  name = label,
  confirm = label,
  question,
  children,
  command,
  isReady = true,
  changes,
  isDestructive = false,
  isPrimary = false,
  icon,
  size = 'compact-sm',
}: ConfirmedButtonProps) {
  const queries = useQueryClient();
  const [opened, dialog] = useDisclosure(false);
  const change = useMutation({
    mutationFn: ({ method, path, body }: Command): Promise<unknown> =>
      method === 'DELETE' ? remove(path) : act(method as 'POST' | 'PUT', path, body),
    onSuccess: () => dialog.close(),
    onSettled: () => queries.invalidateQueries({ queryKey: changes }),
  });
  const close = () => {
    change.reset();
    dialog.close();
  };
  return (
    <>
      <Button
        size={size}
        variant={isPrimary ? 'filled' : 'default'}
        leftSection={icon}
        aria-label={name}
        onClick={dialog.open}
      >
        {label}
      </Button>
      <Dialog opened={opened} onClose={close} title={question}>
        <Stack>
          <Text size="sm" component="div">
            {children}
          </Text>
          {change.error && <ProblemView error={change.error} />}
          <Group justify="flex-end">
            <CopyAs what={name} command={command} />
            <Button variant="default" onClick={close}>
              Leave it
            </Button>
            <Button
              {...(isDestructive ? { color: 'red.8' } : {})}
              loading={change.isPending}
              disabled={!isReady}
              onClick={() => change.mutate(command)}
            >
              {confirm}
            </Button>
          </Group>
        </Stack>
      </Dialog>
    </>
  );
}
