import { Group, Text, Tooltip, UnstyledButton } from '@mantine/core';
import './timeline.css';
import { useMemo } from 'react';
import type { Run } from '../api/shapes.ts';
import { duration, exactTime } from '../display/format.ts';
import { Panel } from '../display/page.tsx';
import { useNow } from '../display/time.tsx';
import { statusTone } from '../display/tone.ts';
import { type Bar, barsOf } from './bars.ts';
import type { Scale } from './collapse.ts';
import { StepIcon } from './step-icon.tsx';

interface TimelineProps {
  run: Run;
  selected: string | undefined;
  onSelect: (stepKey: string) => void;
}

const percent = (part: number) => `${(100 * part).toFixed(3)}%`;

export function Timeline({ run, selected, onSelect }: TimelineProps) {
  const now = useNow();
  const { bars, scale, totalMs } = useMemo(() => barsOf(run, now), [run, now]);
  return (
    <Panel
      title="Timeline"
      aside={
        <Text size="sm" c="dimmed" className="number">
          {duration(totalMs)}
        </Text>
      }
    >
      {bars.length === 0 && (
        <Text size="sm" c="dimmed">
          {run.endedAt ? 'No step left a record.' : 'No step has run yet. They appear here as they do.'}
        </Text>
      )}
      {bars.map((bar) => (
        <BarRow
          key={bar.step.key}
          bar={bar}
          scale={scale}
          selected={bar.step.key === selected}
          onSelect={() => onSelect(bar.step.key)}
        />
      ))}
      {bars.length > 0 && <Legend gaps={scale.gaps.length} />}
    </Panel>
  );
}

function BarRow({
  bar,
  scale,
  selected,
  onSelect,
}: {
  bar: Bar;
  scale: Scale;
  selected: boolean;
  onSelect: () => void;
}) {
  const { step, queue, work, waits, queuedMs } = bar;
  const took =
    step.durationMs === undefined && step.status !== 'waiting' ? '' : duration(work.to - work.from);
  const place = (from: number, to: number) => ({
    left: percent(scale.at(from)),
    width: `max(3px, ${percent(scale.at(to) - scale.at(from))})`,
  });
  return (
    <UnstyledButton className="bar-row" aria-pressed={selected} onClick={onSelect}>
      <Group gap={8} wrap="nowrap" className="bar-name">
        <StepIcon kind={step.kind} primitive={step.primitive} size={15} />
        <Text size="sm" truncate>
          {step.name}
        </Text>
      </Group>
      <Tooltip
        label={`${step.status}, began ${exactTime(step.startedAt)}, stood in line ${duration(Math.max(0, queuedMs))}, ${waits ? 'waited' : 'worked'} ${took || 'no time'}`}
        multiline
        maw={320}
      >
        <span className={`bar-line tone-${statusTone(step.status)}`}>
          {scale.gaps.map((gap) => (
            <span
              key={gap.from}
              className="bar-gap"
              style={{ left: percent(gap.from), width: percent(gap.to - gap.from) }}
            />
          ))}
          {queuedMs > 0 && <span className="bar-queue" style={place(queue.from, queue.to)} />}
          <span className={waits ? 'bar-wait' : 'bar-work'} style={place(work.from, work.to)} />
        </span>
      </Tooltip>
      <Text size="xs" c="dimmed" className="number bar-took">
        {step.attempts > 1 ? `${step.attempts} tries · ` : ''}
        {took}
      </Text>
    </UnstyledButton>
  );
}

function Legend({ gaps }: { gaps: number }) {
  return (
    <Group gap="md" mt="sm" c="dimmed" fz="xs">
      <span className="bar-key tone-good">
        <span className="bar-work" /> work
      </span>
      <span className="bar-key tone-quiet">
        <span className="bar-queue" /> in line
      </span>
      <span className="bar-key tone-attention">
        <span className="bar-wait" /> waits
      </span>
      {gaps > 0 && (
        <span className="bar-key">
          <span className="bar-gap" /> idle time, shortened
        </span>
      )}
    </Group>
  );
}
