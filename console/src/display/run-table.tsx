import { Text } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { RunSummary } from '../api/shapes.ts';
import { OutcomeBadge, StatusBadge } from './badge.tsx';
import { duration, money, shortId } from './format.ts';
import { PageLink } from './link.tsx';
import { Time } from './time.tsx';

/** Runs, one a row; a row opens its run. */
export function RunTable({ runs, empty }: { runs: readonly RunSummary[]; empty: ReactNode }) {
  if (runs.length === 0) return empty;
  return (
    <table className="rows">
      <thead>
        <tr>
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
          <RunRow key={run.id} run={run} />
        ))}
      </tbody>
    </table>
  );
}

function RunRow({ run }: { run: RunSummary }) {
  const navigate = useNavigate();
  const { id, subject, workflow, version, status, outcome, startedAt, endedAt, costMicroUsd } = run;
  return (
    <tr data-clickable="true" onClick={() => void navigate({ to: '/runs/$id', params: { id } })}>
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
      <td className="wide-only end number">{costMicroUsd === undefined ? '–' : money(costMicroUsd)}</td>
    </tr>
  );
}
