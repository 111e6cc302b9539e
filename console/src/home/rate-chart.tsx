import { useComputedColorScheme } from '@mantine/core';
import { useMemo } from 'react';
import { Chart } from '../display/chart.tsx';
import { minutesOf } from './minutes.ts';

interface RateChartProps {
  series: { at: string; count: number }[];
}

export function RateChart({ series }: RateChartProps) {
  const dark = useComputedColorScheme('light') === 'dark';
  const option = useMemo(() => {
    const minutes = minutesOf(series, Date.now());
    const quiet = dark ? '#a2a8b1' : '#5a626b';
    return {
      animation: false,
      grid: { left: 8, right: 8, top: 14, bottom: 4, outerBoundsMode: 'same' as const },
      tooltip: { trigger: 'axis' as const },
      xAxis: {
        type: 'category' as const,
        data: minutes.map(({ label }) => label),
        axisLine: { lineStyle: { color: dark ? '#3d424b' : '#d5d9de' } },
        axisTick: { show: false },
        axisLabel: { color: quiet, interval: 9 },
      },
      yAxis: {
        type: 'value' as const,
        minInterval: 1,
        axisLabel: { color: quiet },
        splitLine: { lineStyle: { color: dark ? '#2b2f37' : '#eceff2' } },
      },
      series: [
        {
          name: 'runs started',
          type: 'bar' as const,
          data: minutes.map(({ count }) => count),
          barCategoryGap: '25%',
          itemStyle: { color: dark ? '#6b8afd' : '#4263eb', borderRadius: [3, 3, 0, 0] },
        },
      ],
    };
  }, [series, dark]);
  const total = series.reduce((sum, { count }) => sum + count, 0);
  return (
    <Chart option={option} height={312} label={`Runs started per minute in the last hour: ${total} in all`} />
  );
}
