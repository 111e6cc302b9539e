import { scryptSync } from 'node:crypto';
import type { CallPrimitive, Primitive, WaitPrimitive } from '../src/workflow/catalog/primitive.ts';

const anything = { type: 'object' } as const;
/** Who waits for a `mark` step, by the index in the run's input. */
const marks = new Map<number, (atMs: number) => void>();

/** Resolves to when (`performance.now()`) the `mark` step of the run with this index is performed. */
export function marked(index: number): Promise<number> {
  return new Promise((resolve) => marks.set(index, resolve));
}

const add = (kind: 'pure' | 'effect'): CallPrimitive => ({
  name: kind,
  version: 1,
  kind,
  inputSchema: anything,
  run: ({ index, step }) => ({ output: { index: Number(index) + Number(step) } }),
});

const mark: CallPrimitive = {
  name: 'mark',
  version: 1,
  kind: 'effect',
  inputSchema: anything,
  run: ({ index }) => {
    marks.get(Number(index))?.(performance.now());
    marks.delete(Number(index));
    return { output: null };
  },
};

/** About 2 ms of one core, as an effect that signs or renders something: what bounds the flow is its effects. */
const work: CallPrimitive = {
  name: 'work',
  version: 1,
  kind: 'effect',
  inputSchema: anything,
  run: ({ index }) => {
    scryptSync(String(index), 'salt', 32, { N: 256 });
    return { output: { index: Number(index) } };
  },
};

const hold: WaitPrimitive = {
  name: 'hold',
  version: 1,
  kind: 'wait',
  inputSchema: anything,
  open: () => ({ state: null }),
  complete: () => ({ output: null }),
  cancel: () => [],
};

/** The functions of a program that embeds AIOS for the bench. */
export const FUNCTIONS: readonly Primitive[] = [add('pure'), add('effect'), mark, work, hold];
