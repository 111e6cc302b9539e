import { useComputedColorScheme } from '@mantine/core';
import type { EChartsOption } from 'echarts';
import { useEffect, useRef, useState } from 'react';
import type { Chart as Drawn } from './echarts.ts';

/** A chart in the colours of the scheme, drawn as SVG; the library comes when a page first needs it. */
export function Chart({ option, height, label }: { option: EChartsOption; height: number; label: string }) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<Drawn | null>(null);
  const newest = useRef(option);
  newest.current = option;
  const scheme = useComputedColorScheme('light');
  const [fault, setFault] = useState<Error>();
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    let gone = false;
    const observer = new ResizeObserver(() => chart.current?.resize());
    void import('./echarts.ts').then(({ draw }) => {
      if (gone) return;
      chart.current = draw(element, scheme === 'dark');
      chart.current.setOption({ backgroundColor: 'transparent', ...newest.current });
      observer.observe(element);
    }, setFault);
    return () => {
      gone = true;
      observer.disconnect();
      chart.current?.dispose();
      chart.current = null;
    };
  }, [scheme]);
  // A series that has gone from the option goes from the chart.
  useEffect(() => chart.current?.setOption(option, { replaceMerge: ['series'] }), [option]);
  if (fault) throw fault;
  return <div ref={holder} style={{ height, width: '100%' }} role="img" aria-label={label} />;
}
