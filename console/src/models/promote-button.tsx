import { Button, Group, NumberInput, SegmentedControl, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { meQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import { modelPath, rolloutsQuery } from '../api/rollouts.ts';
import type { Json, Model } from '../api/shapes.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';

const ALIAS = 'champion';
type Way = 'all' | 'canary' | 'shadow';

/** Gives a version traffic: all of it, a share, or copies only; or takes it from the version that serves. */
export function PromoteButton({ model, version }: { model: Model; version: number }) {
  const me = useQuery(meQuery);
  const rollouts = useQuery(rolloutsQuery(model.name));
  const [opened, modal] = useDisclosure(false);
  const current = model.aliases[ALIAS];
  const active = rollouts.data?.items.find(({ alias, endedAt }) => alias === ALIAS && endedAt === undefined);
  if (active?.challenger === version) return <Text size="xs">is tried</Text>;
  const isBack = current === version;
  const mayPromote = me.data?.permissions.includes('models.promote') ?? false;
  if (!mayPromote || active || (isBack && model.versions.length === 1))
    return isBack ? <Text size="xs">serves now</Text> : null;
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
        {isBack ? 'Roll back' : 'Use …'}
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
            <Use model={model} version={version} onClose={modal.close} />
          )}
        </Dialog>
      </div>
    </>
  );
}

interface Choice {
  model: Model;
  version: number;
  onClose: () => void;
}

interface Request {
  method: 'PUT' | 'POST';
  path: string;
  body: Json;
}

function useAct(model: string, onClose: () => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ method, path, body }: Request) => act(method, path, body),
    onSuccess: onClose,
    onSettled: () => queries.invalidateQueries({ queryKey: ['model', model] }),
  });
}

function Use({ model, version, onClose }: Choice) {
  const current = model.aliases[ALIAS];
  const [way, setWay] = useState<Way>(current === undefined ? 'all' : 'canary');
  const [percent, setPercent] = useState<number | string>(5);
  const use = useAct(model.name, onClose);
  const base = modelPath(model.name);
  const request: Request =
    way === 'all'
      ? { method: 'PUT', path: `${base}/aliases/${ALIAS}`, body: { version } }
      : {
          method: 'POST',
          path: `${base}/rollouts`,
          body: { challenger: version, kind: way, ...(way === 'canary' ? { percent: Number(percent) } : {}) },
        };
  const cli =
    way === 'all'
      ? `models promote ${model.name} ${version}`
      : `models rollout ${model.name} start --challenger ${version} --kind ${way}${way === 'canary' ? ` --percent ${percent}` : ''}`;
  const told = {
    all: `Every decision that asks for “${ALIAS}” uses v${version}${current === undefined ? '' : ` instead of v${current}`}, once it is warm and has the approvals that the model's policy names.`,
    canary: `v${version} answers a share of the keys; v${current} the others. It is taken back by itself when it fails more often or is slower.`,
    shadow: `v${current} goes on answering everything. v${version} gets copies, and the answers are compared.`,
  }[way];
  return (
    <Stack>
      {current !== undefined && (
        <SegmentedControl
          aria-label="How much of the traffic"
          value={way}
          onChange={(value) => setWay(value as Way)}
          data={[
            { value: 'shadow', label: 'Copies only' },
            { value: 'canary', label: 'A share' },
            { value: 'all', label: 'All of it' },
          ]}
        />
      )}
      {way === 'canary' && (
        <NumberInput label="Percent of the keys" value={percent} onChange={setPercent} min={0} max={100} />
      )}
      <Text size="sm">{told} The change is an audit entry with your name.</Text>
      {use.error && <ProblemView error={use.error} />}
      <Group justify="flex-end">
        <CopyAs what="This change" command={{ ...request, cli }} />
        <Button variant="default" onClick={onClose}>
          Leave it
        </Button>
        <Button loading={use.isPending} onClick={() => use.mutate(request)}>
          {way === 'all' ? `Promote v${version}` : way === 'canary' ? 'Start the canary' : 'Start the shadow'}
        </Button>
      </Group>
    </Stack>
  );
}

function Back({ model, version, onClose }: Choice) {
  const back = useAct(model.name, onClose);
  const request: Request = {
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
