import type { Tolerance } from './tolerance.ts';

/** Of a bridge that may put aside whatever it likes. */
export const TOLERANT: Pick<Tolerance, 'room' | 'putAside' | 'stop'> = {
  room: async (wanted) => wanted,
  putAside: () => {},
  stop: (_what, cause) => cause,
};
