import { parseArgs } from 'node:util';
import { type Outcome, runCases } from './case.ts';
import { REST_CASES } from './rest.ts';
import { Target } from './target.ts';

/*
 * node conformance/oip/run.ts --url http://127.0.0.1:8000 --model simple
 *
 * Holds a server to the Open Inference Protocol and tells what passes, what fails, and what it does not support. Exits with 1 when
 * something fails.
 */
const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    model: { type: 'string' },
    header: { type: 'string', multiple: true, default: [] },
    inputs: { type: 'string' },
    'identity-models': { type: 'string' },
    'may-unload': { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});
if (!values.url || !values.model) {
  console.error(
    'usage: node conformance/oip/run.ts --url URL --model NAME [--header "name: value"] [--inputs JSON] [--identity-models "identity-{datatype}"] [--may-unload] [--only rest.infer] [--json]',
  );
  process.exit(2);
}

const headers = values.header.map((line) => {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
});
const target = new Target({
  url: values.url,
  model: values.model,
  headers: Object.fromEntries(headers) as Record<string, string>,
  inputs: values.inputs === undefined ? undefined : JSON.parse(values.inputs),
  identityModels: values['identity-models'],
  mayUnload: values['may-unload'],
});
const MARK = { pass: 'pass', fail: 'FAIL', 'not supported': '  - ' };
let section = '';
const tell = (outcome: Outcome) => {
  if (values.json) return;
  if (outcome.section !== section) console.log(`\n${outcome.section}`);
  section = outcome.section;
  console.log(`  ${MARK[outcome.outcome]}  ${outcome.title}${outcome.detail ? `: ${outcome.detail}` : ''}`);
};
const cases = REST_CASES.filter(({ id }) => id.startsWith(values.only));
const outcomes = await runCases(target, cases, tell);
const count = (wanted: Outcome['outcome']) => outcomes.filter(({ outcome }) => outcome === wanted).length;
const totals = { pass: count('pass'), fail: count('fail'), notSupported: count('not supported') };
if (values.json)
  console.log(JSON.stringify({ url: values.url, model: values.model, ...totals, outcomes }, null, 2));
else console.log(`\n${totals.pass} pass, ${totals.fail} fail, ${totals.notSupported} not supported`);
process.exitCode = totals.fail > 0 ? 1 : 0;
