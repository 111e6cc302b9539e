// Only the parts that the charts use, in a file of its own: it comes when a page first draws a chart.
import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TooltipComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

use([BarChart, LineChart, GridComponent, LegendComponent, TooltipComponent, SVGRenderer]);

export type Chart = ReturnType<typeof init>;
export const draw = (element: HTMLElement, dark: boolean): Chart =>
  init(element, dark ? 'dark' : undefined, { renderer: 'svg' });
