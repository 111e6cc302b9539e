import { Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { activeOf, type Rollout, rolloutQuery, rolloutsQuery } from '../api/rollouts.ts';
import { Badge, StatusBadge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { plainNumber, wholeDuration } from '../display/format.ts';
import { Panel } from '../display/page.tsx';
import { Time } from '../display/time.tsx';
import { RolloutActions } from './rollout-actions.tsx';
import './rollouts.css';
import { FiguresTable, Guards, TestResult } from './rollout-figures.tsx';

const KIND = { canary: 'Canary', shadow: 'Shadow', ab: 'A/B test' } as const;

/** The versions that are tried under an alias of the model now. */
export function Rollouts({ model }: { model: string }) {
  const rollouts = useQuery(rolloutsQuery(model));
  return activeOf(rollouts.data).map((rollout) => <ActiveRollout key={rollout.id} rollout={rollout} />);
}

function ActiveRollout({ rollout }: { rollout: Rollout }) {
  const report = useQuery(rolloutQuery(rollout)).data;
  const shown = report ?? rollout;
  const { plan, alias, champion, challenger, status, startedAt, model, id, conclusion } = shown;
  return (
    <Panel
      title={`${KIND[plan.kind]} of v${challenger}`}
      aside={
        <CopyAs
          what="This rollout"
          command={{
            method: 'GET',
            path: `/api/v1/models/${model}/rollouts/${id}`,
            cli: `models rollout ${model} --alias ${alias}`,
          }}
        />
      }
    >
      <Stack gap="md">
        <div className="rollout-head">
          <StatusBadge status={status} />
          {conclusion && (
            <Badge tone={conclusion.verdict === 'better' ? 'good' : 'bad'}>
              v{challenger} is {conclusion.verdict}
            </Badge>
          )}
          <Text size="sm" c="dimmed">
            under “{alias}”, begun <Time at={startedAt} />
          </Text>
        </div>
        <Split rollout={shown} />
        {report && (
          <div className="rollout-columns">
            <FiguresTable figures={report.figures} champion={champion} challenger={challenger} />
            <Stack gap="sm">
              {report.test && plan.outcome && <TestResult test={report.test} outcome={plan.outcome} />}
              <Guards guards={plan.guards} figures={report.recent} />
            </Stack>
          </div>
        )}
        <RolloutActions rollout={shown} />
      </Stack>
    </Panel>
  );
}

/** Who answers how much: both versions as parts of one bar, with the steps that the schedule still has. */
function Split({ rollout }: { rollout: Rollout }) {
  const { champion, challenger, percent, plan, step } = rollout;
  if (plan.kind === 'shadow')
    return (
      <Text size="sm">
        v{champion} answers all. v{challenger} gets copies of a sample, and nobody waits for it.
      </Text>
    );
  return (
    <Stack gap={6}>
      <div className="split" aria-hidden="true">
        <div className="split-part" style={{ width: `${percent}%` }} />
      </div>
      <div className="split-legend">
        <Text size="sm">
          <span className="split-key" data-side="challenger" /> v{challenger} answers{' '}
          <b className="number">{plainNumber(percent)} %</b>
        </Text>
        <Text size="sm">
          <span className="split-key" data-side="champion" /> v{champion} answers{' '}
          <b className="number">{plainNumber(100 - percent)} %</b>
        </Text>
      </div>
      {plan.steps.length > 1 && (
        <ol className="steps" aria-label="Steps">
          {plan.steps.map(({ percent: share, waitSeconds }, at) => (
            <li key={share} aria-current={at === step ? 'step' : undefined}>
              <span className="number">{plainNumber(share)} %</span>
              <Text span size="xs" c="dimmed">
                {waitSeconds === undefined ? 'until somebody goes on' : `for ${wholeDuration(waitSeconds)}`}
              </Text>
            </li>
          ))}
          {plan.thenPromote && (
            <li>
              <span>all</span>
              <Text span size="xs" c="dimmed">
                promoted by itself
              </Text>
            </li>
          )}
        </ol>
      )}
    </Stack>
  );
}

/** What was tried, and how it ended. */
export function PastRollouts({ model }: { model: string }) {
  const rollouts = useQuery(rolloutsQuery(model));
  const past = rollouts.data?.items.filter(({ endedAt }) => endedAt !== undefined) ?? [];
  if (past.length === 0) return null;
  return (
    <Panel title="Earlier rollouts" padded={false}>
      <table className="rows">
        <thead>
          <tr>
            <th>Tried</th>
            <th>Ended as</th>
            <th className="wide-only">Why</th>
            <th className="end">When</th>
          </tr>
        </thead>
        <tbody>
          {past.map(({ id, plan, challenger, champion, status, reason, endedAt }) => (
            <tr key={id}>
              <td>
                {KIND[plan.kind]} of v{challenger}{' '}
                <Text span size="xs" c="dimmed">
                  beside v{champion}
                </Text>
              </td>
              <td>
                <StatusBadge status={status} label={status.replace('-', ' ')} />
              </td>
              <td className="wide-only">{reason ?? '–'}</td>
              <td className="end">
                <Time at={endedAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
