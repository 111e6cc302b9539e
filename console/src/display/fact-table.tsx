import type { ReactNode } from 'react';

/**
 * What is known of one thing, in a row each by its label; what has no value has no row.
 *
 * @example <FactTable facts={{ Owner: 'risk', Team: undefined }} /> // one row
 */
export function FactTable({ facts }: { facts: Readonly<Record<string, ReactNode>> }) {
  return (
    <table className="rows facts-table">
      <tbody>
        {Object.entries(facts)
          .filter(([, value]) => value !== undefined && value !== '')
          .map(([label, value]) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              <td>{value}</td>
            </tr>
          ))}
      </tbody>
    </table>
  );
}
