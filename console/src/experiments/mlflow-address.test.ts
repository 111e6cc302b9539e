import { expect, it } from 'vitest';
import { pageOfMlflow } from './mlflow-address.ts';

it('knows the addresses that MLflow’s clients print', () => {
  const run = { to: '/experiments/runs/$id', params: { id: '0a1b' } };
  for (const hash of ['/experiments/1/runs/0a1b', '/experiments/1/runs/0a1b/artifacts/model?x=1'])
    expect(pageOfMlflow(hash)).toEqual(run);
  const experiment = { to: '/experiments/by-id/$id', params: { id: '12' } };
  for (const hash of ['/experiments/12', '/experiments/12/traces', '/experiments/12?searchFilter=x'])
    expect(pageOfMlflow(hash)).toEqual(experiment);
  for (const hash of ['', 'main', '/models/x', '/experiments/', '/experiments/1x'])
    expect(pageOfMlflow(hash)).toBeUndefined();
});
