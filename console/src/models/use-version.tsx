import { Button, Group, SegmentedControl, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { act, ProblemError } from '../api/request.ts';
import { modelPath } from '../api/rollouts.ts';
import type { Json, Model } from '../api/shapes.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { wholeDuration } from '../display/format.ts';
import { ProblemView } from '../display/states.tsx';
import { AbTestForm } from './ab-test-form.tsx';
import { CanaryForm } from './canary-form.tsx';
import {
  faultsOf,
  lastsSeconds,
  NEW_PLAN,
  type PlanDraft,
  requestOf,
  sharesText,
  type Way,
} from './rollout-plan.ts';

export const ALIAS = 'champion';

export interface VersionChoice {
  model: Model;
  version: number;
  onClose: () => void;
}

export interface TrafficChange {
  method: 'PUT' | 'POST';
  path: string;
  body: Json;
}

/** Changes who answers for a model, and reads all of it again. */
export function useTrafficChange(model: string, onDone: () => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ method, path, body }: TrafficChange) => act(method, path, body),
    onSuccess: onDone,
    onSettled: () => queries.invalidateQueries({ queryKey: ['model', model] }),
  });
}

const WAYS = [
  { value: 'shadow', label: 'Copies' },
  { value: 'canary', label: 'Canary' },
  { value: 'ab', label: 'A/B test' },
  { value: 'all', label: 'All' },
];
const START = { shadow: 'Start the shadow', canary: 'Start the canary', ab: 'Start the A/B test' } as const;

/** Gives a version traffic: copies of it, shares by a schedule, one side of a test, or all. */
export function UseVersion({ model, version, onClose }: VersionChoice) {
  const current = model.aliases[ALIAS];
  const [way, setWay] = useState<Way>(current === undefined ? 'all' : 'canary');
  const [draft, setDraft] = useState(NEW_PLAN);
  const [isAsked, setAsked] = useState(false);
  const use = useTrafficChange(model.name, onClose);
  const faults = faultsOf(way, draft);
  const isWhole = Object.keys(faults).length === 0;
  // It was refused since callers would be: asked again, they are known to change with it.
  const isForced = use.error instanceof ProblemError && use.error.problem.code === 'models.signature_changed';
  const { request, cli } = changeTo(way, { model, version, draft, isForced });
  const form = { draft, faults: isAsked ? faults : NO_FAULTS, onChange: setDraft };
  const change = (next: string) => {
    setWay(next as Way);
    setAsked(false);
    use.reset();
  };
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setAsked(true);
        if (isWhole) use.mutate(request);
      }}
    >
      <Stack>
        {current !== undefined && (
          <SegmentedControl
            aria-label="How much of the traffic"
            value={way}
            onChange={change}
            data={WAYS}
            fullWidth
          />
        )}
        <Text size="sm">
          {told(way, version, current, draft)} The change is an audit entry with your name.
        </Text>
        {way === 'canary' && <CanaryForm {...form} />}
        {way === 'ab' && <AbTestForm {...form} />}
        {use.error && <ProblemView error={use.error} />}
        <Group justify="flex-end">
          {isWhole && <CopyAs what="This change" command={{ ...request, cli }} />}
          <Button variant="default" onClick={onClose}>
            Leave it
          </Button>
          <Button type="submit" loading={use.isPending} color={isForced ? 'red.8' : undefined}>
            {way === 'all' ? `Promote v${version}` : START[way]}
            {isForced && ' all the same'}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

const NO_FAULTS = {};

interface ChangeAsked {
  model: Model;
  version: number;
  draft: PlanDraft;
  isForced: boolean;
}

function changeTo(
  way: Way,
  { model: { name }, version, draft, isForced }: ChangeAsked,
): { request: TrafficChange; cli: string } {
  const base = modelPath(name);
  if (way === 'all')
    return {
      request: {
        method: 'PUT',
        path: `${base}/aliases/${ALIAS}`,
        body: { version, ...(isForced && { force: true }) },
      },
      cli: `models promote ${name} ${version}${isForced ? ' --force' : ''}`,
    };
  const { body, cli } = requestOf(way, { model: name, version, draft, isForced });
  return { request: { method: 'POST', path: `${base}/rollouts`, body }, cli };
}

function told(way: Way, version: number, current: number | undefined, draft: PlanDraft): string {
  switch (way) {
    case 'all':
      return `Every decision that asks for “${ALIAS}” uses v${version}${current === undefined ? '' : ` instead of v${current}`}, once it is warm and has the approvals that the model's policy names.`;
    case 'shadow':
      return `v${current} goes on answering everything. v${version} gets copies, and the answers are compared.`;
    case 'ab':
      return `v${version} answers a fixed share of the keys, v${current} the others, until the outcomes that are reported say which is better. One that is worse is taken back by itself.`;
    case 'canary':
      return `v${version} answers ${shares(draft)} of the keys, v${current} the others. It is taken back by itself when it fails more often or is slower.`;
  }
}

function shares(draft: PlanDraft): string {
  if (Object.keys(faultsOf('canary', draft)).length > 0) return 'a share';
  const seconds = lastsSeconds(draft);
  return seconds === undefined || draft.steps.length === 1
    ? sharesText(draft)
    : `${sharesText(draft)}, in ${wholeDuration(seconds)} at the least,`;
}
