import { Fragment } from 'react';
import type { Problem } from '../api/request.ts';

/** What a person can do about a problem from here; names of definitions and their members stand out. */
export function Hint({ of: { hint, hintInConsole } }: { of: Pick<Problem, 'hint' | 'hintInConsole'> }) {
  const parts = (hintInConsole ?? hint ?? '').split('`');
  return parts.map((part, at) => {
    const key = `${at} ${part}`;
    return at % 2 === 1 ? (
      <code key={key} className="mono">
        {part}
      </code>
    ) : (
      <Fragment key={key}>{part}</Fragment>
    );
  });
}
