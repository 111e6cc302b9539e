import { expect, it } from 'vitest';
import { faultsInAllLooks, violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

// Nothing listens on port 1; the second address is private, and nobody allowed it.
const FILES = {
  'bridges/orders.yaml':
    'name: orders\nfrom: { amqp: { host: 127.0.0.1, port: 1, queue: orders } }\nallowPrivate: ["127.0.0.1:1"]',
  'bridges/refused.yaml': 'name: refused\nfrom: { amqp: { host: 127.0.0.1, port: 1, queue: refused } }',
  'bridges/topic.yaml':
    'name: topic\nfrom: { kafka: { brokers: ["127.0.0.1:1"], topic: t } }\nallowPrivate: ["127.0.0.1:1"]',
};

describeConsole('bridges in the console', ({ open, apply, ask, send }) => {
  it('say how they fare and what to do about it, and are paused and let go on by people', async () => {
    const page = await open('/events?tab=bridges');
    await page.getByText('No bridge').waitFor();
    await apply(FILES);
    const row = page.getByRole('row', { name: /^orders from amqp/ });
    await row.getByText('failing').waitFor();
    await page
      .getByRole('row', { name: /^refused from amqp/ })
      .getByText('failing')
      .waitFor();
    expect(await faultsInAllLooks(page)).toEqual([]);
    await row.getByRole('button', { name: 'orders' }).focus();
    await page.keyboard.press('Enter');
    const panel = page.getByRole('dialog', { name: 'orders', exact: true });
    await panel.getByText('bridges.unreachable').waitFor();
    expect(await violations(page)).toEqual([]);
    await panel.getByRole('button', { name: 'Restart orders', exact: true }).click();
    await page
      .getByRole('dialog', { name: 'Restart orders?' })
      .getByRole('button', { name: 'Restart', exact: true })
      .click();
    await page.getByRole('dialog', { name: 'Restart orders?' }).waitFor({ state: 'hidden' });
    await panel.getByRole('button', { name: 'Pause orders', exact: true }).click();
    const question = page.getByRole('dialog', { name: 'Pause orders?' });
    await question.getByRole('button', { name: 'Copy as a command' }).click();
    await page.getByRole('menuitem', { name: 'Copy as CLI' }).click();
    await page.getByText('npx aios bridges orders --pause').waitFor();
    await question.getByRole('button', { name: 'Pause', exact: true }).click();
    await panel.getByText('paused').waitFor();
    await panel.getByRole('button', { name: 'Resume orders', exact: true }).click();
    await page
      .getByRole('dialog', { name: 'Let orders go on?' })
      .getByRole('button', { name: 'Resume', exact: true })
      .click();
    await panel.getByText('bridges.unreachable').waitFor();
  });

  it('go on from another place, or begin anew, when people say so', async () => {
    await apply(FILES);
    const position = { topic: 't', topicId: 'i', offsets: { '0': 5 } };
    await send('/api/v1/bridges/topic/position', { position }, 'PUT');
    const placeOf = async () => (await ask<{ position?: object }>('/api/v1/bridges/topic')).position;
    const page = await open('/events?tab=bridges');
    await page.getByRole('button', { name: 'topic' }).click();
    const panel = page.getByRole('dialog', { name: 'topic', exact: true });
    await panel.getByRole('button', { name: 'Move topic' }).click();
    const move = page.getByRole('dialog', { name: 'Let topic go on from another place?' });
    await move.getByLabel('Place').fill('{ "topic": ');
    await move.getByText('This is not a JSON object.').waitFor();
    expect(await move.getByRole('button', { name: 'Move', exact: true }).isDisabled()).toBe(true);
    await move.getByLabel('Place').fill('{ "offsets": { "0": -1 } }');
    await move.getByRole('button', { name: 'Move', exact: true }).click();
    await move.getByRole('alert').waitFor();
    await move.getByLabel('Place').fill(JSON.stringify({ ...position, offsets: { '0': 7 } }));
    expect(await faultsInAllLooks(page)).toEqual([]);
    await move.getByRole('button', { name: 'Move', exact: true }).click();
    await move.waitFor({ state: 'hidden' });
    expect(await placeOf()).toEqual({ ...position, offsets: { '0': 7 } });
    await panel.getByRole('button', { name: 'Begin anew: topic' }).click();
    const reset = page.getByRole('dialog', { name: 'Begin topic anew?' });
    await reset.getByRole('button', { name: 'Begin anew', exact: true }).click();
    await reset.waitFor({ state: 'hidden' });
    expect(await placeOf()).toBeUndefined();
  });
});
