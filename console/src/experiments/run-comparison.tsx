import { Checkbox, Text, VisuallyHidden } from '@mantine/core';
import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import type { TrainingRun } from '../api/experiments.ts';
import { StatusBadge } from '../display/badge.tsx';
import { duration } from '../display/format.ts';
import { PageLink } from '../display/link.tsx';
import { Time } from '../display/time.tsx';
import { VersionLinks } from '../display/version-links.tsx';
import { CHOSEN_MAX, type Columns, columnsOf, type Order, orderText } from './comparison.ts';

/** The words of the console for those of MLflow; they choose the colour. */
export const STATUS: Readonly<Record<TrainingRun['status'], string>> = {
  RUNNING: 'running',
  SCHEDULED: 'pending',
  FINISHED: 'completed',
  FAILED: 'failed',
  KILLED: 'canceled',
};

// As many digits as tell one run from the next: 0.9998 is not 1.
const FIGURE = new Intl.NumberFormat('en', { maximumSignificantDigits: 5 });

interface RunComparisonProps {
  runs: readonly TrainingRun[];
  chosen: readonly string[];
  order: string | undefined;
  onToggle: (id: string) => void;
  onOrder: (part: Order['part'], key: string) => void;
}

/** Training runs side by side: what each was given, how it came out, what was made of it. */
export function RunComparison({ runs, chosen, order, onToggle, onOrder }: RunComparisonProps) {
  const params = columnsOf(runs, 'params');
  const metrics = columnsOf(runs, 'metrics');
  const header = (part: Order['part'], { shown }: Columns) =>
    shown.map((key) => (
      <OrderedHeader key={key} part={part} name={key} order={order} onOrder={() => onOrder(part, key)} />
    ));
  return (
    <>
      <table className="rows" aria-label="Training runs">
        <thead>
          <tr>
            <th>
              <VisuallyHidden>In the chart</VisuallyHidden>
            </th>
            <th>Run</th>
            <th>State</th>
            <th>Model</th>
            {header('metrics', metrics)}
            {header('params', params)}
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => {
            const isChosen = chosen.includes(run.id);
            return (
              <tr key={run.id}>
                <td>
                  <Checkbox
                    aria-label={`Show ${run.name} in the chart`}
                    checked={isChosen}
                    disabled={!isChosen && chosen.length >= CHOSEN_MAX}
                    onChange={() => onToggle(run.id)}
                  />
                </td>
                <td>
                  <RunName run={run} />
                </td>
                <td>
                  <StatusBadge status={STATUS[run.status]} label={run.status.toLowerCase()} />
                </td>
                <td>
                  <VersionLinks to="/models/$name" versions={run.versions} />
                </td>
                {metrics.shown.map((key) => (
                  <td key={key} className="end number">
                    {figure(run.metrics[key])}
                  </td>
                ))}
                {params.shown.map((key) => (
                  <td key={key} className="mono">
                    {run.params[key]?.slice(0, 40) ?? ''}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
      <Further metrics={metrics.more} params={params.more} />
    </>
  );
}

interface OrderedHeaderProps {
  part: Order['part'];
  name: string;
  order: string | undefined;
  onOrder: () => void;
}

function OrderedHeader({ part, name, order, onOrder }: OrderedHeaderProps) {
  const isBy = (isDescending: boolean) => order === orderText({ part, key: name, isDescending });
  const sort = isBy(true) ? 'descending' : isBy(false) ? 'ascending' : undefined;
  const Icon = sort === 'ascending' ? IconArrowUp : IconArrowDown;
  return (
    <th className={part === 'metrics' ? 'end' : ''} aria-sort={sort}>
      <button type="button" className="row-button" onClick={onOrder}>
        {name}
        {sort && <Icon size={12} aria-hidden />}
      </button>
    </th>
  );
}

function RunName({ run: { id, name, startedAt, endedAt, tags } }: { run: TrainingRun }) {
  const flowRun = tags['aios.run'];
  return (
    <>
      <PageLink
        to="/experiments/runs/$id"
        params={{ id }}
        size="sm"
        fw={500}
        style={{ overflowWrap: 'anywhere' }}
      >
        {name}
      </PageLink>
      <Text size="xs" c="dimmed" component="div" style={{ whiteSpace: 'nowrap' }}>
        <Time at={startedAt} />
        {startedAt && endedAt && `, ${duration(Date.parse(endedAt) - Date.parse(startedAt))}`}
        {flowRun && (
          <>
            {', '}
            <PageLink to="/runs/$id" params={{ id: flowRun }} size="xs" underline="always">
              flow run
            </PageLink>
          </>
        )}
      </Text>
    </>
  );
}

function Further({ metrics, params }: { metrics: number; params: number }) {
  const words = [
    ...(metrics > 0 ? [`${metrics} metrics`] : []),
    ...(params > 0 ? [`${params} parameters`] : []),
  ];
  if (words.length === 0) return null;
  return (
    <Text size="xs" c="dimmed" p="sm">
      And {words.join(' and ')} more: those of one run are in what “Copy as a command” answers.
    </Text>
  );
}

export function figure(value: number | string | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'number' ? FIGURE.format(value) : value;
}
