import { Tooltip } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { keyNameQuery } from '../api/key-names.ts';
import { shortId } from './format.ts';

/** Who did something: parts of AIOS by their name, the holder of a key by the name of the key, with its id on hover. */
export function Who({ id }: { id: string }) {
  return id.startsWith('key_') ? <KeyHolder id={id} /> : id;
}

function KeyHolder({ id }: { id: string }) {
  const name = useQuery(keyNameQuery(id)).data;
  return (
    <Tooltip label={id}>
      <span className={name ? 'anywhere' : 'mono'}>{name ?? shortId(id)}</span>
    </Tooltip>
  );
}
