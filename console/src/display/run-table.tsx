import { Checkbox, Text } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { RunSummary } from '../api/shapes.ts';
import { OutcomeBadge, StatusBadge } from './badge.tsx';
import { duration, roughMoney, shortId } from './format.ts';
import { PageLink } from './link.tsx';
import { Time } from './time.tsx';

/** Runs that are picked out of a list. */
interface Picking {
  isPicked(id: string): boolean;
  toggle(id: string): void;
}

interface RunTableProps {
  runs: readonly RunSummary[];
  empty: ReactNode;
  picking?: Picking | undefined;
}

/** Runs, one a row; a row opens its run. */
export function RunTable({ runs, empty, picking }: RunTableProps) {
  if (runs.length === 0) return empty;
  return (
    <table className="rows">
      <thead>
        <tr>
          {picking && <td className="pick" />}
          <th>Case</th>
          <th className="wide-only">Flow</th>
          <th>Status</th>
          <th>Outcome</th>
          <th className="wide-only">Started</th>
          <th className="wide-only end">Took</th>
          <th className="wide-only end">Cost</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <RunRow key={run.id} run={run} picking={picking} />
        ))}
      </tbody>
    </table>
  );
}

function RunRow({ run, picking }: { run: RunSummary; picking: Picking | undefined }) {
  const navigate = useNavigate();
  const { id, subject, workflow, version, status, outcome, startedAt, endedAt, costMicroUsd } = run;
  return (
    <tr data-clickable="true" onClick={() => void navigate({ to: '/runs/$id', params: { id } })}>
      {picking && (
        <td
          className="pick"
          onClick={(event) => event.stopPropagation()}
          onKeyDown={(event) => event.stopPropagation()}
        >
          <Checkbox
            size="xs"
            aria-label={`Select ${subject ?? shortId(id)}`}
            checked={picking.isPicked(id)}
            onChange={() => picking.toggle(id)}
          />
        </td>
      )}
      <td>
        <PageLink
          to="/runs/$id"
          params={{ id }}
          size="sm"
          fw={500}
          onClick={(event) => event.stopPropagation()}
          style={{ overflowWrap: 'anywhere' }}
        >
          {subject ?? shortId(id)}
        </PageLink>
        <Text size="xs" c="dimmed" hiddenFrom="sm">
          {workflow} · <Time at={startedAt} />
        </Text>
      </td>
      <td className="wide-only">
        {workflow} <Text span c="dimmed" size="xs">{`v${version}`}</Text>
      </td>
      <td>
        <StatusBadge status={status} />
      </td>
      <td>
        <OutcomeBadge outcome={outcome} />
      </td>
      <td className="wide-only">
        <Time at={startedAt} />
      </td>
      <td className="wide-only end number">
        {startedAt && endedAt ? duration(Date.parse(endedAt) - Date.parse(startedAt)) : '–'}
      </td>
      <td className="wide-only end number">{costMicroUsd === undefined ? '–' : roughMoney(costMicroUsd)}</td>
    </tr>
  );
}
