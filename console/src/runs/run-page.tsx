import { Button, Grid, Group, Stack, Text, Title } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconPlayerPause, IconPlayerPlay, IconRotate, IconX } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useRunFeed } from '../api/live.ts';
import { meQuery, runQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import type { Run } from '../api/shapes.ts';
import { Badge, OutcomeBadge, StatusBadge } from '../display/badge.tsx';
import { ConfirmedButton } from '../display/confirmed-button.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { duration, money, shortId } from '../display/format.ts';
import { Id } from '../display/id.tsx';
import { PageLink } from '../display/link.tsx';
import { Dialog } from '../display/overlay.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Detail, ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { failedStepId } from './failed-step.ts';
import { FlowChart } from './flow-chart.tsx';
import { RunAttributes, RunHistory } from './run-history.tsx';
import { RunRecords } from './run-records.tsx';
import { StepPanel } from './step-panel.tsx';
import { Timeline } from './timeline.tsx';
import { TrainingLog } from './training-log.tsx';

const route = getRouteApi('/runs/$id');

export function RunPage() {
  const { id } = route.useParams();
  const { attempt } = route.useSearch();
  const run = useQuery(runQuery(id, attempt));
  useRunFeed(id, attempt ? undefined : run.data?.status);
  const shown = run.data;
  if (shown === undefined)
    return (
      <Page title={shortId(id)} parent={<Up />}>
        <Answer query={run}>{() => null}</Answer>
      </Page>
    );
  return (
    <Page
      title={shown.subject ?? shortId(shown.id)}
      parent={<Up />}
      marks={
        <>
          <StatusBadge status={shown.status} />
          <OutcomeBadge outcome={shown.outcome} />
          {(shown.attempt > 1 || attempt) && <Badge tone="quiet">attempt {shown.attempt}</Badge>}
        </>
      }
      subtitle={<Subtitle run={shown} />}
      actions={attempt ? undefined : <Actions run={shown} />}
    >
      <RunBody run={shown} />
    </Page>
  );
}

function Up() {
  return (
    <PageLink to="/runs" size="sm">
      Runs
    </PageLink>
  );
}

function Subtitle({ run }: { run: Run }) {
  const { workflow, version, startedAt, endedAt, costMicroUsd } = run;
  return (
    <div className="dotted">
      <span>
        <PageLink to="/runs" search={{ workflow }} size="sm">
          {workflow}
        </PageLink>{' '}
        v{version}
      </span>
      <span>
        started <Time at={startedAt} />
      </span>
      {startedAt && endedAt && <span>took {duration(Date.parse(endedAt) - Date.parse(startedAt))}</span>}
      <span>{money(costMicroUsd ?? 0)}</span>
      {run.queue?.ahead !== undefined && (
        <span>
          waits in {run.queue.name}, {run.queue.ahead} before it
        </span>
      )}
      <span>
        <Id value={run.id} />
      </span>
    </div>
  );
}

function RunBody({ run }: { run: Run }) {
  const { step: selected, attempt } = route.useSearch();
  const navigate = route.useNavigate();
  const select = (step: string) =>
    void navigate({ search: (before) => ({ ...before, step }), replace: true, resetScroll: false });
  const failedId = failedStepId(run);
  const failed =
    run.steps.find(({ key }) => key === selected) ?? run.steps.findLast(({ status }) => status === 'failed');
  // Where a run failed at a step without a record, no other step stands in its place.
  const step =
    failed ??
    (failedId === undefined
      ? (run.steps.findLast(({ primitive }) => primitive) ?? run.steps.at(-1))
      : undefined);
  const unrecorded = step ? undefined : run.graph.nodes.find(({ id }) => id === failedId)?.label;
  return (
    <Stack gap="md">
      <RunAttributes run={run} />
      <RunHistory run={run} shown={attempt} />
      {run.error && <RunError run={run} error={run.error} />}
      <Panel padded={false}>
        <FlowChart run={run} selected={step?.id ?? failedId} onSelect={select} />
      </Panel>
      <Grid gap="md">
        <Grid.Col span={{ base: 12, md: 6 }}>
          <Timeline run={run} selected={step?.key} onSelect={select} />
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 6 }}>
          <StepPanel run={run} step={step} unrecorded={unrecorded} past={attempt !== undefined} />
        </Grid.Col>
      </Grid>
      <TrainingLog run={run} />
      <RunRecords run={run} />
    </Stack>
  );
}

/** Why the run failed, and at which step. */
function RunError({ run, error }: { run: Run; error: NonNullable<Run['error']> }) {
  const id = failedStepId(run);
  const step = run.graph.nodes.find((node) => node.id === id)?.label;
  return (
    <section
      className="panel tone-bad"
      aria-label="Why the run failed"
      style={{ borderColor: 'var(--tone-line)', padding: '12px 16px' }}
    >
      <Title order={2} className="anywhere">
        {error.title ?? 'The run failed'}
      </Title>
      {error.detail && (
        <Stack gap={4} mt={4}>
          <Detail text={error.detail} />
        </Stack>
      )}
      <Text size="xs" c="dimmed" className="anywhere" mt={4}>
        {step && `At the step “${step}”. `}
        <span className="mono">{error.type}</span>
      </Text>
    </section>
  );
}

/** The run once more from the step at which it failed. */
function Retry({ run }: { run: Run }) {
  const id = failedStepId(run);
  const step = run.graph.nodes.find((node) => node.id === id)?.label;
  return (
    <ConfirmedButton
      label="Retry"
      question="Retry this run?"
      command={{
        method: 'POST',
        path: `/api/v1/runs/${run.id}/retry`,
        body: {},
        cli: `runs retry ${run.id}`,
      }}
      changes={runQuery(run.id).queryKey}
      icon={<IconRotate size={16} />}
      size="sm"
      isPrimary
    >
      It goes on at {step ? `the step “${step}”` : 'the step'} where it failed; what came before is kept. To
      give a step another input, choose it below and press “Rerun from here”.
    </ConfirmedButton>
  );
}

function Actions({ run }: { run: Run }) {
  const me = useQuery(meQuery);
  const queries = useQueryClient();
  const [asking, ask] = useDisclosure(false);
  const path = `/api/v1/runs/${run.id}`;
  const change = useMutation({
    mutationFn: (action: 'pause' | 'resume' | 'cancel') => act<Run>('POST', `${path}/${action}`),
    onSuccess: (changed) => {
      queries.setQueryData(runQuery(run.id).queryKey, changed);
      ask.close();
    },
  });
  const close = () => {
    change.reset();
    ask.close();
  };
  const ended = ['completed', 'failed', 'canceled'].includes(run.status);
  const mayControl = me.data?.permissions.includes('runs.control') ?? false;
  const may = mayControl && !ended;
  return (
    <>
      {mayControl && run.status === 'failed' && <Retry run={run} />}
      {may && run.status === 'paused' && (
        <Button
          variant="default"
          leftSection={<IconPlayerPlay size={16} />}
          loading={change.isPending}
          onClick={() => change.mutate('resume')}
        >
          Resume
        </Button>
      )}
      {may && run.status !== 'paused' && (
        <Button
          variant="default"
          leftSection={<IconPlayerPause size={16} />}
          loading={change.isPending}
          onClick={() => change.mutate('pause')}
        >
          Pause
        </Button>
      )}
      {may && (
        <Button variant="default" leftSection={<IconX size={16} />} onClick={ask.open}>
          Cancel
        </Button>
      )}
      <CopyAs what="This run" command={{ method: 'GET', path, cli: `runs show ${run.id}` }} />
      <Dialog opened={asking || change.isError} onClose={close} title="Cancel this run?">
        <Stack>
          <Text size="sm">What it has done stays done and on record; nothing that follows will happen.</Text>
          {change.error && <ProblemView error={change.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Keep it
            </Button>
            <Button color="red.8" loading={change.isPending} onClick={() => change.mutate('cancel')}>
              Cancel the run
            </Button>
          </Group>
        </Stack>
      </Dialog>
    </>
  );
}
