// A trainer for tests: gradient descent for one weight, told to MLflow step by step, and written as an ONNX file.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { logisticModel } from '../../src/testing/onnx.ts';

const { env } = process;
const parameters = JSON.parse(readFileSync(env.AIOS_PARAMETERS!, 'utf8')) as { steps: number; mode?: string };

async function log(key: string, value: number, step: number): Promise<void> {
  const body = JSON.stringify({ run_id: env.MLFLOW_RUN_ID, key, value, timestamp: Date.now(), step });
  const response = await fetch(`${env.MLFLOW_TRACKING_URI}/api/2.0/mlflow/runs/log-metric`, {
    method: 'POST',
    headers: { authorization: `Bearer ${env.MLFLOW_TRACKING_TOKEN}`, 'content-type': 'application/json' },
    body,
  });
  if (!response.ok) throw new Error(await response.text());
}

if (parameters.mode === 'fail') {
  console.error('no rows to learn from');
  process.exit(3);
}
if (parameters.mode === 'hang') {
  console.log(`waiting as ${process.pid}`);
  await new Promise((done) => setTimeout(done, 600_000));
}
if (parameters.mode === 'loud')
  for (let line = 0; line < 1_000; line++) console.log(`line ${line} ${'.'.repeat(20)}`);
if (parameters.mode === 'empty') process.exit(0);
if (parameters.mode === 'wrong')
  writeFileSync(join(env.AIOS_OUTPUT_DIR!, 'model.json'), '{"metrics": {"auc": "high"}}');
if (env.AIOS_DATASET_ORDERS) {
  const magic = readFileSync(env.AIOS_DATASET_ORDERS).subarray(0, 4).toString();
  console.log(`data: ${magic} version ${env.AIOS_DATASET_ORDERS_VERSION}`);
}
let weight = 0;
for (let step = 0; step < parameters.steps; step++) {
  weight += (2 - weight) / 2;
  console.log(`step ${step}: weight ${weight}`);
  await log('distance', 2 - weight, step);
}
console.log(
  `secret is ${env.FETCH_TOKEN} with ${env.FETCH_TOKEN?.length} characters, rate is ${env.AIOS_PARAM_LEARNING_RATE}`,
);
writeFileSync(join(env.AIOS_OUTPUT_DIR!, 'model.onnx'), logisticModel([weight], 0));
if (parameters.mode !== 'wrong')
  writeFileSync(
    join(env.AIOS_OUTPUT_DIR!, 'model.json'),
    JSON.stringify({ metrics: { auc: 0.9 }, card: { intendedUse: 'tests' } }),
  );
