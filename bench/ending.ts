/** Notes how something that was begun is ended. */
export type OnEnd = (end: () => Promise<unknown>) => void;

/**
 * Runs what begins servers, folders and producers, and ends them in the reverse of their order, also when it throws: what one end cannot do keeps
 * none of the others from theirs, and does not hide why it ended.
 *
 * @example ending(async (onEnd) => { const folder = await temporaryFolder(); onEnd(() => folder.dispose()); … })
 */
export async function ending<T>(run: (onEnd: OnEnd) => Promise<T>): Promise<T> {
  const ends: (() => Promise<unknown>)[] = [];
  try {
    return await run((end) => void ends.push(end));
  } finally {
    for (const end of ends.reverse())
      await end().catch((error: unknown) => process.stderr.write(`not ended: ${String(error)}\n`));
  }
}
