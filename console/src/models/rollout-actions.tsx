import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { meQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import { modelPath, type Rollout } from '../api/rollouts.ts';
import type { Json } from '../api/shapes.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';

interface Act {
  path: string;
  body?: Json;
}

/** What can be done with a rollout; taking it back is always there. */
export function RolloutActions({ rollout }: { rollout: Rollout }) {
  const me = useQuery(meQuery);
  const queries = useQueryClient();
  const [ending, setEnding] = useState<'promote' | 'rollback'>();
  const path = `${modelPath(rollout.model)}/rollouts/${rollout.id}`;
  const change = useMutation({
    mutationFn: ({ path: action, body }: Act) => act<Rollout>('POST', `${path}/${action}`, body),
    onSuccess: () => setEnding(undefined),
    onSettled: () => queries.invalidateQueries({ queryKey: ['model', rollout.model] }),
  });
  if (!me.data?.permissions.includes('models.promote')) return null;
  const { plan, step, status } = rollout;
  const next = plan.steps[step + 1];
  return (
    <>
      {change.error && !ending && <ProblemView error={change.error} />}
      <Group gap="xs">
        <Button color="red.8" onClick={() => setEnding('rollback')}>
          Roll back
        </Button>
        <Button variant="default" onClick={() => setEnding('promote')}>
          Promote v{rollout.challenger}
        </Button>
        {next && (
          <Button
            variant="default"
            loading={change.isPending && change.variables.path === 'step'}
            onClick={() => change.mutate({ path: 'step', body: { step: step + 1 } })}
          >
            Go on to {next.percent} %
          </Button>
        )}
        {plan.steps.some(({ waitSeconds }) => waitSeconds !== undefined) && (
          <Button
            variant="default"
            onClick={() => change.mutate({ path: status === 'paused' ? 'resume' : 'pause' })}
          >
            {status === 'paused' ? 'Resume the schedule' : 'Pause the schedule'}
          </Button>
        )}
      </Group>
      {ending && (
        <EndDialog
          rollout={rollout}
          ending={ending}
          path={path}
          error={change.error}
          isPending={change.isPending}
          onClose={() => {
            setEnding(undefined);
            change.reset();
          }}
          onEnd={(reason) => change.mutate({ path: ending, body: reason ? { reason } : {} })}
        />
      )}
    </>
  );
}

function EndDialog({
  rollout: { champion, challenger, alias, model },
  ending,
  path,
  error,
  isPending,
  onClose,
  onEnd,
}: {
  rollout: Rollout;
  ending: 'promote' | 'rollback';
  path: string;
  error: Error | null;
  isPending: boolean;
  onClose: () => void;
  onEnd: (reason: string) => void;
}) {
  const [reason, setReason] = useState('');
  const [opened] = useDisclosure(true);
  const isBack = ending === 'rollback';
  return (
    <Dialog
      opened={opened}
      onClose={onClose}
      title={isBack ? `Roll v${challenger} back?` : `Promote ${model} to v${challenger}?`}
    >
      <Stack>
        <Text size="sm">
          {isBack
            ? `From now on v${champion} answers everything again, in every process within a second.`
            : `“${alias}” means v${challenger} from then on, instead of v${champion}. The rollout ends.`}{' '}
          The change is an audit entry with your name and the figures of this moment.
        </Text>
        <TextInput
          label="Why"
          placeholder="For whoever reads the audit log"
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          data-autofocus
        />
        {error && <ProblemView error={error} />}
        <Group justify="flex-end">
          <CopyAs
            what={isBack ? 'This rollback' : 'This promotion'}
            command={{
              method: 'POST',
              path: `${path}/${ending}`,
              body: reason ? { reason } : {},
              cli: isBack ? `models rollback ${model} --alias ${alias}` : `models rollout ${model} promote`,
            }}
          />
          <Button variant="default" onClick={onClose}>
            Leave it
          </Button>
          <Button color={isBack ? 'red.8' : undefined} loading={isPending} onClick={() => onEnd(reason)}>
            {isBack ? 'Roll back' : `Promote to v${challenger}`}
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
