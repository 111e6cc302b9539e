import { Stack, Text } from '@mantine/core';
import type { Quantization } from '../api/quantization.ts';
import { bytes, count, duration, plainNumber, share } from '../display/format.ts';
import { Panel } from '../display/page.tsx';

const SOURCES: Record<string, string> = {
  rows: 'rows that were given',
  'request-log': 'sampled requests',
  random: 'rows of random numbers',
};

/** How a quantized version did beside the version that it was made of, when it was made. */
export function QuantizationFigures({ quantization }: { quantization: Quantization }) {
  const { parent, operators, data, agreement, accuracy, speed } = quantization;
  const rows: [string, string, string][] = [
    ['Size', bytes(quantization.bytes.parent), bytes(quantization.bytes.child)],
    ['Memory', bytes(quantization.residentBytes.parent), bytes(quantization.residentBytes.child)],
    ...speed.flatMap(({ batchRows, p50Ms, rowsPerSecond }): [string, string, string][] => [
      [
        `p50 of ${batchRows === 1 ? 'a row' : `${batchRows} rows`}`,
        duration(p50Ms.parent),
        duration(p50Ms.child),
      ],
      [
        `Rows a second${batchRows === 1 ? '' : `, ${batchRows} together`}`,
        count(rowsPerSecond.parent),
        count(rowsPerSecond.child),
      ],
    ]),
    ...(accuracy
      ? [
          [accuracy.metric, plainNumber(accuracy.parent), plainNumber(accuracy.child)] as [
            string,
            string,
            string,
          ],
        ]
      : []),
  ];
  return (
    <Panel title={`Quantized from v${parent.version}`}>
      <Stack gap="xs">
        <table className="rows">
          <thead>
            <tr>
              <th>Measured</th>
              <th className="end">v{parent.version}</th>
              <th className="end">Quantized</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, before, after]) => (
              <tr key={name}>
                <td>{name}</td>
                <td className="end number">{before}</td>
                <td className="end number">{after}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <Text size="sm" c="dimmed">
          Agrees on {share(agreement * data.rows, data.rows)} of {count(data.rows)}{' '}
          {SOURCES[data.source] ?? data.source}. Whole numbers in{' '}
          {Object.entries(operators)
            .map(([operator, nodes]) => `${nodes} × ${operator}`)
            .join(', ')}
          .
        </Text>
      </Stack>
    </Panel>
  );
}
