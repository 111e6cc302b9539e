import { NativeSelect, Text, useComputedColorScheme } from '@mantine/core';
import { useQueries } from '@tanstack/react-query';
import { useMemo } from 'react';
import { metricQuery, type TrainingRun } from '../api/experiments.ts';
import { Chart } from '../display/chart.tsx';
import { count, plainNumber } from '../display/format.ts';
import { Panel } from '../display/page.tsx';
import { Empty, Loading, ProblemView } from '../display/states.tsx';
import { CHOSEN_MAX, type Line, linesOf } from './comparison.ts';

// Each is 3 : 1 on the panel at least (WCAG 1.4.11).
const COLOURS = {
  light: ['#4263eb', '#d9480f', '#2b8a3e', '#9c36b5', '#0b7285', '#c2255c', '#5f3dc4', '#846200'],
  dark: ['#6b8afd', '#ff922b', '#51cf66', '#da77f2', '#22b8cf', '#f783ac', '#b197fc', '#ffd43b'],
};
/** Lines with more points have no marks on them. */
const MARKED_POINTS_MAX = 30;
/** The API answers no more of one metric. */
const VALUES_MAX = 5_000;

interface MetricChartProps {
  runs: readonly TrainingRun[];
  metric: string;
  metrics: readonly string[];
  onMetric: (metric: string) => void;
}

/** One metric over the steps of the chosen runs. */
export function MetricChart({ runs, metric, metrics, onMetric }: MetricChartProps) {
  const histories = useQueries({ queries: runs.map((run) => metricQuery(run, metric)) });
  const error = histories.find((each) => each.error)?.error;
  // A run that has just been chosen comes when its values do; the others stay meanwhile.
  // A line has the colour of its run's place, whichever comes first.
  const lines = linesOf(
    runs,
    histories.map(({ data }) => data?.items ?? []),
  )
    .map((line, place) => ({ ...line, place }))
    .filter(({ place }) => histories[place]!.data !== undefined);
  const isLoading = runs.length > 0 && lines.length === 0 && !error;
  return (
    <Panel
      title={`${metric} by step`}
      aside={
        <NativeSelect
          aria-label="Metric"
          size="xs"
          value={metric}
          data={[...metrics]}
          onChange={({ currentTarget }) => onMetric(currentTarget.value)}
        />
      }
    >
      {runs.length === 0 && (
        <Empty title="No run is chosen">Choose up to {CHOSEN_MAX} in the first column of the table.</Empty>
      )}
      {error && <ProblemView error={error} />}
      {isLoading && <Loading lines={5} />}
      {lines.some(({ points }) => points.length >= VALUES_MAX) && (
        <Text size="xs" c="dimmed">
          Of a run with more values, the first {count(VALUES_MAX)} are drawn.
        </Text>
      )}
      {lines.length > 0 && <Lines lines={lines} metric={metric} />}
    </Panel>
  );
}

type PlacedLine = Line & { place: number };

function Lines({ lines, metric }: { lines: readonly PlacedLine[]; metric: string }) {
  const scheme = useComputedColorScheme('light');
  // The histories are new objects at every answer, however much is as before.
  const written = JSON.stringify(lines);
  const option = useMemo(() => optionOf(JSON.parse(written) as PlacedLine[], scheme), [written, scheme]);
  const told = lines.map(({ name, points }) => `${name}: ${wordsOf(points)}`).join('; ');
  if (lines.every(({ points }) => points.length === 0))
    return (
      <Text size="sm" c="dimmed">
        None of the chosen runs has a value of {metric}.
      </Text>
    );
  return <Chart option={option} height={320} label={`${metric} by step. ${told}`} />;
}

function wordsOf(points: Line['points']): string {
  const values = points.flatMap(([, value]) => (value === null ? [] : [value]));
  if (values.length === 0) return 'no value';
  const [first, last] = [values[0]!, values.at(-1)!].map(plainNumber);
  return values.length === 1 ? `${first}` : `${values.length} values from ${first} to ${last}`;
}

function optionOf(lines: readonly PlacedLine[], scheme: 'light' | 'dark') {
  const dark = scheme === 'dark';
  const quiet = dark ? '#a2a8b1' : '#5a626b';
  const split = { lineStyle: { color: dark ? '#2b2f37' : '#eceff2' } };
  return {
    animation: false,
    grid: { left: 8, right: 16, top: 40, bottom: 4, outerBoundsMode: 'same' as const },
    legend: {
      data: lines.map(({ name }) => name),
      type: 'scroll' as const,
      top: 0,
      left: 0,
      icon: 'roundRect',
      itemWidth: 14,
      itemHeight: 4,
      itemGap: 16,
      textStyle: { color: quiet, width: 240, overflow: 'truncate' as const },
    },
    tooltip: { trigger: 'axis' as const },
    xAxis: {
      type: 'value' as const,
      name: 'step',
      nameLocation: 'middle' as const,
      nameTextStyle: { color: quiet },
      minInterval: 1,
      min: 'dataMin' as const,
      max: 'dataMax' as const,
      axisLabel: { color: quiet, hideOverlap: true, showMaxLabel: false },
      axisLine: { lineStyle: { color: split.lineStyle.color } },
      axisTick: { show: false },
      splitLine: { show: false },
    },
    yAxis: {
      type: 'value' as const,
      scale: true,
      axisLabel: { color: quiet },
      axisLine: { show: false },
      axisTick: { show: false },
      splitLine: split,
    },
    series: lines.map(({ id, name, points, place }) => ({
      id,
      name,
      color: COLOURS[scheme][place % COLOURS[scheme].length]!,
      type: 'line' as const,
      data: points,
      showSymbol: points.length <= MARKED_POINTS_MAX,
      symbol: 'circle',
      symbolSize: 5,
      lineStyle: { width: 2 },
    })),
  };
}
