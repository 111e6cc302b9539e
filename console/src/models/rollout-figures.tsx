import { Text } from '@mantine/core';
import type { Rollout, RolloutFigures, RolloutReport } from '../api/rollouts.ts';
import { count, duration, plainNumber, share, wholeDuration } from '../display/format.ts';

/** What both versions did since the rollout began. */
export function FiguresTable({
  figures,
  champion,
  challenger,
}: {
  figures: RolloutFigures;
  champion: number;
  challenger: number;
}) {
  const { compared, agreement, differenceMean, differenceMax, dropped } = figures.comparison;
  const rows: [string, (side: RolloutFigures['champion']) => string][] = [
    ['Requests', ({ requests }) => count(requests)],
    ['Errors', ({ errorRate }) => ratio(errorRate)],
    ['p50', ({ p50Ms }) => time(p50Ms)],
    ['p95', ({ p95Ms }) => time(p95Ms)],
    ['p99', ({ p99Ms }) => time(p99Ms)],
  ];
  return (
    <div>
      <table className="rows">
        <thead>
          <tr>
            <th>Since it began</th>
            <th className="end">
              <span className="split-key" data-side="challenger" /> v{challenger}
            </th>
            <th className="end">
              <span className="split-key" data-side="champion" /> v{champion}
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, of]) => (
            <tr key={name}>
              <td>{name}</td>
              <td className="end number">{of(figures.challenger)}</td>
              <td className="end number">{of(figures.champion)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {compared > 0 && (
        <Text size="sm" mt="sm">
          They agree on <b className="number">{ratio(agreement)}</b> of {count(compared)} compared rows
          {differenceMean !== null &&
            (differenceMax === 0
              ? '; all numbers are equal'
              : `; numbers differ by ${plainNumber(differenceMean)} on average, by ${plainNumber(differenceMax ?? 0)} at most`)}
          .{dropped > 0 && ` ${count(dropped)} copies were left out: too many waited.`}
        </Text>
      )}
    </div>
  );
}

type GuardRow = [name: string, now: string, bound: string, samples: number, needed: number];
const LATENCY_SAMPLES_FACTOR = 4; // a p95 needs more samples than a share: docs/rollouts.md

/** What takes the challenger back by itself, and how far it is from it. */
export function Guards({ guards, figures }: { guards: Rollout['plan']['guards']; figures: RolloutFigures }) {
  const { champion, challenger, comparison } = figures;
  const { errorRateMax, latencyRatioMax, disagreementMax, samplesMin, windowSeconds } = guards;
  const rows: GuardRow[] = [];
  if (errorRateMax !== null)
    rows.push(['Errors', ratio(challenger.errorRate), ratio(errorRateMax), challenger.requests, samplesMin]);
  if (latencyRatioMax !== null) {
    const times = challenger.p95Ms !== null && champion.p95Ms ? challenger.p95Ms / champion.p95Ms : null;
    const samples = Math.min(challenger.requests, champion.requests);
    rows.push([
      `p95 against the champion’s`,
      multiple(times),
      multiple(latencyRatioMax),
      samples,
      LATENCY_SAMPLES_FACTOR * samplesMin,
    ]);
  }
  if (disagreementMax !== null) {
    const disagreement = comparison.agreement === null ? null : 1 - comparison.agreement;
    rows.push(['Disagreement', ratio(disagreement), ratio(disagreementMax), comparison.compared, samplesMin]);
  }
  if (rows.length === 0) return <Text size="sm">No guard: only a person takes it back.</Text>;
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Taken back above</th>
          <th className="end">Last {wholeDuration(windowSeconds)}</th>
          <th className="end">Bound</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, now, bound, samples, needed]) => (
          <tr key={name}>
            <td>{name}</td>
            <td className="end number">
              {samples < needed ? (
                <Text span size="xs" c="dimmed">
                  {count(samples)} of {count(needed)} samples
                </Text>
              ) : (
                now
              )}
            </td>
            <td className="end number">{bound}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What the outcomes of an A/B test say so far. */
export function TestResult({
  test,
  outcome,
}: {
  test: NonNullable<RolloutReport['test']>;
  outcome: NonNullable<Rollout['plan']['outcome']>;
}) {
  const { championMean, challengerMean, interval, difference, pValue, samples } = test;
  const mean = (value: number | null) => (value === null ? '–' : plainNumber(value));
  return (
    <Text size="sm">
      {outcome.name}: <b className="number">{mean(challengerMean)}</b> against{' '}
      <b className="number">{mean(championMean)}</b>, of {count(samples.challenger)} and{' '}
      {count(samples.champion)} keys.{' '}
      {interval === null || difference === null
        ? 'Too few to say anything.'
        : `The difference lies between ${plainNumber(interval[0])} and ${plainNumber(interval[1])} (p ≤ ${plainNumber(pValue)}).`}
    </Text>
  );
}

function ratio(value: number | null): string {
  return value === null ? '–' : share(value, 1);
}

function time(ms: number | null): string {
  return ms === null ? '–' : duration(ms);
}

function multiple(value: number | null): string {
  return value === null ? '–' : `${plainNumber(value)} ×`;
}
