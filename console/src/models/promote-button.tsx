import { Button, Group, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { meQuery } from '../api/queries.ts';
import { modelPath, rolloutsQuery } from '../api/rollouts.ts';
import type { Model } from '../api/shapes.ts';
import { Badge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';
import {
  ALIAS,
  type TrafficChange,
  UseVersion,
  useTrafficChange,
  type VersionChoice,
} from './use-version.tsx';

/** Gives a version traffic: all of it, a share, or copies only; or takes it from the version that serves. */
export function PromoteButton({ model, version }: { model: Model; version: number }) {
  const me = useQuery(meQuery);
  const rollouts = useQuery(rolloutsQuery(model.name));
  const [opened, modal] = useDisclosure(false);
  const current = model.aliases[ALIAS];
  const active = rollouts.data?.items.find(({ alias, endedAt }) => alias === ALIAS && endedAt === undefined);
  const isBack = current === version;
  const mayPromote = me.data?.permissions.includes('models.promote') ?? false;
  // A dialog that is open stays, also when somebody else was faster: it says so.
  if (!opened && active?.challenger === version) return <Badge tone="active">in rollout</Badge>;
  if (!mayPromote || (active && !opened) || (isBack && model.versions.length === 1))
    return isBack ? <Badge tone="good">serving</Badge> : null;
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        onClick={(event) => {
          event.stopPropagation();
          modal.open();
        }}
      >
        {isBack ? 'Roll back …' : 'Promote …'}
      </Button>
      {/* A click in what floats above the row is no click on the row. */}
      {/* biome-ignore lint/a11y: it only keeps clicks from the row */}
      <div onClick={(event) => event.stopPropagation()}>
        <Dialog
          opened={opened}
          onClose={modal.close}
          title={isBack ? `Take ${model.name} v${version} back?` : `Use v${version} of ${model.name}?`}
        >
          {isBack ? (
            <Back model={model} version={version} onClose={modal.close} />
          ) : (
            <UseVersion model={model} version={version} onClose={modal.close} />
          )}
        </Dialog>
      </div>
    </>
  );
}

function Back({ model, version, onClose }: VersionChoice) {
  const back = useTrafficChange(model.name, onClose);
  const request: TrafficChange = {
    method: 'POST',
    path: `${modelPath(model.name)}/aliases/${ALIAS}/rollback`,
    body: { version },
  };
  return (
    <Stack>
      <Text size="sm">
        “{ALIAS}” means again what it meant before v{version}, at once and without approvals. Those of v
        {version} are void then. The change is an audit entry with your name.
      </Text>
      {back.error && <ProblemView error={back.error} />}
      <Group justify="flex-end">
        <CopyAs what="This rollback" command={{ ...request, cli: `models rollback ${model.name}` }} />
        <Button variant="default" onClick={onClose}>
          Leave it
        </Button>
        <Button color="red.8" loading={back.isPending} onClick={() => back.mutate(request)}>
          Roll back
        </Button>
      </Group>
    </Stack>
  );
}
