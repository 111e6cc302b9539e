import type { Issue } from '../kernel/errors.ts';
import type { Signature, TensorSpec } from './signature.ts';

/**
 * Why a version could not answer the calls of an alias that another, its champion, answers. Their refusals would count as faults of the callers, whom nobody told,
 * and no guard of a rollout would speak. Where both take features by name, other columns are another matrix and no misfit: a version learns from more features than the one before.
 *
 * @returns nothing when it can; paths are those of the challenger's signature
 * @example signatureMisfits(champion.signature, challenger.signature) // [{ path: '/inputs/x', message: 'callers do not send it' }]
 */
export function signatureMisfits(champion: Signature, challenger: Signature): Issue[] {
  if (champion.features && challenger.features) return resultMisfits(champion, challenger);
  return [...inputMisfits(champion.inputs, challenger.inputs), ...outputMisfits(champion, challenger)];
}

function resultMisfits({ results: before }: Signature, { results: now }: Signature): Issue[] {
  return Object.keys(before ?? {}).flatMap((name) =>
    now && Object.hasOwn(now, name)
      ? []
      : [{ path: `/results/${name}`, message: 'callers read it, and it is not there' }],
  );
}

function outputMisfits({ outputs: before }: Signature, { outputs: now }: Signature): Issue[] {
  const names = new Set(now.map(({ name }) => name));
  return before.flatMap(({ name }) =>
    names.has(name) ? [] : [{ path: `/outputs/${name}`, message: 'callers read it, and it is not there' }],
  );
}

function inputMisfits(before: readonly TensorSpec[], now: readonly TensorSpec[]): Issue[] {
  const taken = new Map(now.map((spec) => [spec.name, spec]));
  const sent = new Set(before.map(({ name }) => name));
  const unsent = now.flatMap(({ name }) =>
    sent.has(name) ? [] : [{ path: `/inputs/${name}`, message: 'callers do not send it' }],
  );
  const refused = before.flatMap((spec): Issue[] => {
    const found = taken.get(spec.name);
    const path = `/inputs/${spec.name}`;
    if (!found) return [{ path, message: 'callers send it, and it is not taken' }];
    if (takes(found, spec)) return [];
    return [{ path, message: 'callers send another form', found: textOf(spec), expected: textOf(found) }];
  });
  return [...unsent, ...refused];
}

/** Whether all that fits one tensor fits the other. */
function takes({ datatype, shape }: TensorSpec, other: TensorSpec): boolean {
  if (datatype !== other.datatype || shape.length !== other.shape.length) return false;
  return shape.every((size, axis) => size === -1 || size === other.shape[axis]);
}

function textOf({ datatype, shape }: TensorSpec): string {
  return `${datatype} [${shape.join(', ')}]`;
}
