import { Id } from './id.tsx';

/** Who did something: parts of AIOS and people by their name, the holder of a key by its id. */
export function Who({ id }: { id: string }) {
  return id.startsWith('key_') ? <Id value={id} /> : id;
}
