/**
 * The name and the alias or version in what a caller calls a model.
 *
 * @example splitReference('assistant@challenger') // ['assistant', 'challenger']
 */
export function splitReference(asked: string): [name: string, reference?: string] {
  const at = asked.lastIndexOf('@');
  return at > 0 ? [asked.slice(0, at), asked.slice(at + 1)] : [asked];
}
