import { Fragment } from 'react';

/**
 * A command of the shell inside a sentence: its lines break between words, never at the dashes of an option.
 *
 * @example <CommandText>aios budgets team --usd 50</CommandText>
 */
export function CommandText({ children }: { children: string }) {
  return (
    <code className="mono">
      {children.split(' ').map((word, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the words of a command never change places
        <Fragment key={at}>
          {at > 0 && ' '}
          <span style={{ whiteSpace: 'nowrap' }}>{word}</span>
        </Fragment>
      ))}
    </code>
  );
}
