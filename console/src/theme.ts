import { createTheme, type MantineColorsTuple } from '@mantine/core';

// A warm-free grey for the dark scheme: surfaces differ by 4 % of lightness, text keeps 4.5:1 on each.
const dark: MantineColorsTuple = [
  '#d6d8dc',
  '#b4b8bf',
  '#9aa0a8',
  '#747a84',
  '#3d424b',
  '#31353d',
  '#262a31',
  '#1b1e24',
  '#15181d',
  '#101216',
];

export const theme = createTheme({
  primaryColor: 'indigo',
  respectReducedMotion: true,
  primaryShade: { light: 7, dark: 7 },
  defaultRadius: 'md',
  fontFamily: 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "SF Mono", "Cascadia Code", Menlo, "Noto Sans Mono", "DejaVu Sans Mono", monospace',
  headings: { fontWeight: '650', sizes: { h1: { fontSize: '1.5rem' }, h2: { fontSize: '1.0625rem' } } },
  colors: { dark },
  components: {
    Tooltip: { defaultProps: { openDelay: 250, withArrow: true } },
    Modal: { defaultProps: { centered: true } },
    // Without these its button has no name, and its text less contrast than 4.5:1.
    Notification: {
      defaultProps: { closeButtonProps: { 'aria-label': 'Close' } },
      styles: { description: { color: 'var(--mantine-color-text)' } },
    },
  },
});
