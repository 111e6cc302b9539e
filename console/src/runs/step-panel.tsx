import { Button, Group, Stack, Tabs, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { payloadQuery } from '../api/queries.ts';
import type { JsonObject, PayloadRef, Run, Step } from '../api/shapes.ts';
import { Badge, StatusBadge } from '../display/badge.tsx';
import { bytes, money, plainNumber } from '../display/format.ts';
import { JsonView } from '../display/json-view.tsx';
import { PageLink } from '../display/link.tsx';
import { Panel } from '../display/page.tsx';
import { Empty } from '../display/states.tsx';
import { GoBack } from './go-back.tsx';
import { whyOf } from './why.ts';

interface StepPanelProps {
  run: Run;
  step: Step | undefined;
  /** The name of the step that failed, where that is known by the error alone. */
  unrecorded: string | undefined;
  past: boolean;
}

/** One step: what went in, what came out, and why. */
export function StepPanel({ run, step, unrecorded, past }: StepPanelProps) {
  if (unrecorded !== undefined)
    return (
      <Panel title={unrecorded} aside={<StatusBadge status="failed" />}>
        <Text size="sm">
          It failed before it left a record: a step that computes or raises an error has no effect to keep.
          Why stands above.
        </Text>
      </Panel>
    );
  if (!step)
    return (
      <Panel title="Step">
        <Empty title="No step has run yet" />
      </Panel>
    );
  return (
    <Panel
      title={step.name}
      aside={
        <Group gap="xs">
          {step.edited && <Badge tone="quiet">input edited</Badge>}
          {!past && <GoBack run={run} step={step} key={step.key} />}
          <StatusBadge status={step.status} />
        </Group>
      }
    >
      <Tabs defaultValue="why" key={step.key} keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="why">Why</Tabs.Tab>
          <Tabs.Tab value="output">Output</Tabs.Tab>
          <Tabs.Tab value="input">Input</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="why">
          <Why run={run} step={step} />
        </Tabs.Panel>
        <Tabs.Panel value="output">
          {step.outputRef ? (
            <LargeValue run={run} payload={step.outputRef} label={`Output of ${step.name}`} />
          ) : (
            <JsonView
              value={step.error ? (step.error as JsonObject) : step.output}
              label={`Output of ${step.name}`}
            />
          )}
        </Tabs.Panel>
        <Tabs.Panel value="input">
          <StepInput run={run} step={step} />
        </Tabs.Panel>
      </Tabs>
    </Panel>
  );
}

function StepInput({ run, step }: { run: Run; step: Step }) {
  const label = `Input of ${step.name}`;
  if (step.inputRef) return <LargeValue run={run} payload={step.inputRef} label={label} />;
  if (step.input !== undefined) return <JsonView value={step.input} label={label} />;
  return (
    <Stack gap="xs">
      <Text size="sm" c="dimmed">
        A step without effect keeps no copy of its input: it is computed again from the run’s input by version{' '}
        {run.version} of the flow.
      </Text>
      <JsonView value={run.input} label="Input of the run" />
    </Stack>
  );
}

/** Read when somebody asks: it may be megabytes. */
function LargeValue({ run, payload, label }: { run: Run; payload: PayloadRef; label: string }) {
  const [asked, setAsked] = useState(false);
  const { data, isFetching, error } = useQuery({ ...payloadQuery(run.id, payload.digest), enabled: asked });
  if (data) return <JsonView value={data.value} label={label} />;
  return (
    <Stack gap="xs" align="flex-start">
      <Text size="sm" c="dimmed">
        {error ? error.message : `A large value: ${bytes(payload.bytes)}.`}
      </Text>
      <Button variant="default" size="xs" loading={isFetching} onClick={() => setAsked(true)}>
        Show it
      </Button>
    </Stack>
  );
}

/** The task that a step waits for, as the inbox is asked for it. */
function taskOf({ output }: Step): { task?: string } {
  const task = output && typeof output === 'object' && !Array.isArray(output) ? output.taskId : undefined;
  return typeof task === 'string' ? { task } : {};
}

function Why({ run, step }: { run: Run; step: Step }) {
  const why = whyOf(run, step);
  return (
    <Stack gap="sm">
      {why.sentence && <Text className="anywhere">{why.sentence}</Text>}
      {why.facts.length > 0 && (
        <dl className="facts">
          {why.facts.map(({ name, value }) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd className="number">{typeof value === 'number' ? plainNumber(value) : value}</dd>
            </div>
          ))}
        </dl>
      )}
      {!why.sentence && why.facts.length === 0 && (
        <Text size="sm" c="dimmed">
          It follows the flow: no rule, model or person was asked.
        </Text>
      )}
      <Group gap={6} className="badges">
        {why.pins.map(({ kind, name, version }) => (
          <Badge key={`${kind} ${name}`} tone="quiet">
            {kind} {name} v{version}
          </Badge>
        ))}
      </Group>
      {why.costMicroUsd > 0 && (
        <Text size="sm" c="dimmed">
          It cost {money(why.costMicroUsd)}.
        </Text>
      )}
      {step.status === 'waiting' && step.primitive === 'human-task' && (
        <PageLink to="/inbox" search={taskOf(step)} size="sm">
          Open the case in the inbox
        </PageLink>
      )}
    </Stack>
  );
}
