import { beforeAll, expect, it } from 'vitest';
import { violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

const FILES = {
  'entities/client.yaml': 'name: client\njoinKeys: [client]',
  'features/scores.yaml':
    'name: scores\nentity: client\nowner: risk\ndescription: How likely a client is to return.\nsource: { push: scores }\nfeatures: { score: { type: float64, description: of the last model } }',
  'features/stock.yaml':
    'name: stock\nentity: client\nsource: { table: shop.stock, timestamp: at }\nfeatures: { units: { type: int64 } }',
  'features/offer.yaml':
    "name: offer\nsource: { views: [scores], request: { amount: float64 } }\nfeatures: { offered: { type: float64, expression: 'score * amount' } }",
  'services/clients.yaml': 'name: clients\nviews: [scores]',
  'services/pairs.yaml':
    'name: pairs\nviews: [offer, { view: scores, name: payer, joinKeyMap: { client: payer_id } }]\nfullFeatureNames: true',
};

describeConsole('features in the console', ({ open, send, apply }) => {
  beforeAll(async () => {
    await apply(FILES);
    await send('/api/v1/features/push', { source: 'scores', rows: [{ client: 'c-1', score: 0.25 }] });
  });

  it('are listed with how fresh they are, and an entity is looked up by its key', async () => {
    const page = await open('/');
    await page.getByRole('navigation', { name: 'Main' }).getByText('Features').click();
    await page.getByRole('row', { name: /customer-orders stream customer/ }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole('link', { name: 'scores' }).click();
    await page.getByText('How likely a client is to return.').waitFor();
    await page.getByRole('row', { name: /score float64 of the last model/ }).waitFor();
    await page.getByLabel('client', { exact: true }).fill('c-1');
    await page.getByRole('button', { name: 'Look up' }).click();
    await page.getByRole('table', { name: 'Features of the entity' }).getByText('0.25').waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('are told by the services that read them, and looked up by the keys and values of a service', async () => {
    const page = await open('/features');
    const services = page.getByRole('table', { name: 'Feature services' });
    await services.getByText('scores as payer (client = payer_id)').waitFor();
    await services.getByText('offer__offered, payer__score').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole('link', { name: 'offer', exact: true }).click();
    await page.getByLabel('client', { exact: true }).fill('c-1');
    await page.getByLabel('payer_id', { exact: true }).fill('c-1');
    await page.getByLabel('amount', { exact: true }).fill('8');
    await page.getByRole('button', { name: 'Look up' }).click();
    await page.getByRole('row', { name: 'offer__offered 2' }).waitFor();
    await page.getByRole('row', { name: 'payer__score 0.25' }).waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('a command breaks between its words on a phone, not at the dashes of an option', async () => {
    const page = await open('/features');
    await page.setViewportSize({ width: 390, height: 844 });
    const command = page.getByText('aios features historical --service … --entities … --out …');
    await command.waitFor();
    const boxes = (text: string) =>
      command.getByText(text, { exact: true }).evaluate((word) => word.getClientRects().length);
    for (const option of ['--service', '--entities', '--out']) expect(await boxes(option)).toBe(1);
  });

  it('of a table come online from its page, which says how far it is and why it failed', async () => {
    const page = await open('/features/stock');
    await page.getByText('Nothing is online yet').waitFor();
    await page.getByRole('button', { name: 'Bring new rows online' }).click();
    await page.getByText(/AIOS_FEATURE_SCHEMAS allows none/).waitFor();
    await page.getByText('failed').waitFor();
    expect(await violations(page)).toEqual([]);
  });
});
