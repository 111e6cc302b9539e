import type { ColumnProfile, DatasetVersion } from '../api/datasets.ts';
import { count, plainNumber } from '../display/format.ts';
import { Panel } from '../display/page.tsx';

const BAR_PX = 5;
const HEIGHT_PX = 24;
const VALUE_CHARS = 24;

/** How the columns of a version lie. */
export function ColumnTable({ version: { columns, profile, rows } }: { version: DatasetVersion }) {
  return (
    <Panel title="Columns" padded={false}>
      <table className="rows">
        <thead>
          <tr>
            <th>Column</th>
            <th className="wide-only">Role</th>
            <th className="wide-only">Type</th>
            <th className="end">Nulls</th>
            <th className="wide-only end">Distinct</th>
            <th>Values</th>
            <th className="wide-only">Distribution</th>
          </tr>
        </thead>
        <tbody>
          {columns.map(({ name, type, role }) => {
            const column = profile[name] ?? { nulls: 0, distinct: 0 };
            return (
              <tr key={name}>
                <td className="mono names">{name}</td>
                <td className="wide-only">{role}</td>
                <td className="wide-only">{type}</td>
                <td className="end number">
                  {plainNumber(Number(((column.nulls / rows) * 100).toPrecision(3)))} %
                </td>
                <td className="wide-only end number">{count(column.distinct)}</td>
                <td>{valuesOf(column)}</td>
                <td className="wide-only">
                  {column.histogram && <Histogram name={name} counts={column.histogram} />}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Panel>
  );
}

function valuesOf({ min, max, mean, top = [] }: ColumnProfile): string {
  const short = (value: number | string | undefined) =>
    typeof value === 'number' ? plainNumber(Number(value.toPrecision(4))) : (value ?? '').slice(0, 10);
  if (mean !== undefined) return `${short(min)} to ${short(max)}, mean ${short(mean)}`;
  if (min !== undefined) return `${short(min)} to ${short(max)}`;
  if (top.length > 0 && top.every(([, number]) => number === 1)) return 'none twice';
  return top
    .slice(0, 3)
    .map(([value, number]) => `${cut(value)} (${count(number)})`)
    .join(', ');
}

function cut(value: string): string {
  return value.length > VALUE_CHARS ? `${value.slice(0, VALUE_CHARS - 1)}…` : value;
}

/** Counts in bins of equal width. */
function Histogram({ name, counts }: { name: string; counts: readonly number[] }) {
  const most = Math.max(...counts, 1);
  return (
    <svg
      width={counts.length * BAR_PX}
      height={HEIGHT_PX}
      role="img"
      aria-label={`Distribution of ${name}`}
      style={{ color: 'var(--mantine-primary-color-filled)', display: 'block' }}
    >
      {counts.map((number, bin) => {
        const height = number === 0 ? 0 : Math.max(1, (number / most) * HEIGHT_PX);
        return (
          <rect
            // biome-ignore lint/suspicious/noArrayIndexKey: bins that never change places
            key={bin}
            x={bin * BAR_PX}
            y={HEIGHT_PX - height}
            width={BAR_PX - 1}
            height={height}
            fill="currentColor"
          />
        );
      })}
    </svg>
  );
}
