/**
 * The page that an address of MLflow's own pages stands for: its clients print such addresses at the end of a run.
 *
 * @param hash what stands after the `#`
 * @example pageOfMlflow('/experiments/1/runs/0a1b/model-metrics') // { to: '/experiments/runs/$id', params: { id: '0a1b' } }
 */
export function pageOfMlflow(hash: string) {
  const [, id, run] = /^\/experiments\/(\d+)(?:\/runs\/(\w+))?(?:[/?]|$)/.exec(hash) ?? [];
  if (run !== undefined) return { to: '/experiments/runs/$id', params: { id: run } } as const;
  if (id !== undefined) return { to: '/experiments/by-id/$id', params: { id } } as const;
  return undefined;
}
