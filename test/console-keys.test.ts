import { expect, it } from 'vitest';
import { faultsInAllLooks, violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

interface Made {
  id: string;
  key: string;
}

describeConsole('keys in the console', ({ open, openStranger, product, send }) => {
  const make = (name: string, more: object = {}) =>
    send<Made>('/api/v1/keys', { name, roles: ['viewer'], ...more });
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();

  it('are made with roles and an end, shown once, and let their holder in', async () => {
    const page = await open('/keys');
    await page.getByText('So far there is only the admin key.').waitFor();
    await page.getByRole('button', { name: 'New key' }).click();
    const form = page.getByRole('dialog', { name: 'New key' });
    const submit = form.getByRole('button', { name: 'Make it' });
    await form.getByLabel('Name').fill('Rita');
    expect(await submit.isDisabled()).toBe(true); // without a role it could do nothing
    await form.getByRole('checkbox', { name: 'reviewer' }).check();
    await form.getByLabel('Groups').fill('returns, fraud, returns');
    await form.getByLabel('Expires').selectOption('in 7 days');
    expect(await violations(page)).toEqual([]);
    await submit.click();
    const shown = page.getByRole('dialog', { name: 'The key of Rita' });
    const key = await shown.getByText(/^aios_key_/).innerText();
    await page.keyboard.press('Escape'); // would lose it for good
    await shown.getByRole('button', { name: 'Copy the key' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await shown.getByRole('button', { name: 'Done' }).click();
    await page.getByText('One key expires within 14 days.').waitFor();
    const row = page.getByRole('row', { name: /^Rita/ });
    expect(await row.innerText()).toMatch(/reviewer.*expires soon.*never/s);
    await row.getByText('returns · fraud').waitFor();
    const me = await fetch(`${product().url}/api/v1/me`, { headers: { authorization: `Bearer ${key}` } });
    expect(await me.json()).toMatchObject({ name: 'Rita', groups: ['returns', 'fraud'] });
    expect(await page.content()).not.toContain(key);
  });

  it('are put into other groups, and revoked after a question; then they stand with those that ended', async () => {
    const { key } = await make('leaver', { expiresAt: inDays(60) });
    const page = await open('/keys');
    await page.getByRole('button', { name: 'leaver' }).press('Enter');
    const panel = page.getByRole('dialog', { name: 'leaver' });
    await panel.getByText('in force').waitFor();
    await panel.getByLabel('Groups').fill('claims');
    await panel.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('row', { name: /leaver.*claims/ }).waitFor();
    await panel.getByRole('button', { name: 'Revoke leaver', exact: true }).click();
    const question = page.getByRole('dialog', { name: 'Revoke the key of leaver?' });
    await question.getByText('It does not come back.').waitFor();
    await question.getByRole('button', { name: 'Leave it' }).click();
    await panel.getByRole('button', { name: 'Revoke leaver', exact: true }).click();
    await question.getByRole('button', { name: 'Revoke it' }).click();
    await page.getByRole('row', { name: /leaver/ }).waitFor({ state: 'detached' });
    const me = await fetch(`${product().url}/api/v1/me`, { headers: { authorization: `Bearer ${key}` } });
    expect(me.status).toBe(401);
    await page.getByText('Ended', { exact: true }).click();
    await page.getByRole('row', { name: /leaver.*revoked/ }).waitFor();
    await page.reload(); // what is shown stands in the address
    await page.getByRole('button', { name: 'leaver' }).click();
    await panel.getByText('What it could do').waitFor();
    expect(await panel.getByRole('button', { name: 'Revoke leaver', exact: true }).count()).toBe(0);
    await panel.getByRole('link', { name: 'Its entries in the audit log' }).click();
    await page.getByRole('row', { name: /revoked/ }).waitFor();
  });

  it('say before they are revoked that they are one’s own and the last of an admin', async () => {
    const page = await open('/keys');
    await page.getByRole('row', { name: /yours/ }).getByRole('button').click();
    await page.getByRole('button', { name: 'Revoke admin', exact: true }).click();
    const question = page.getByRole('dialog', { name: 'Revoke the key of admin?' });
    await question.getByText('You are logged in with this key').waitFor();
    await question.getByText('It is the last key of an admin.').waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('are not shown to whoever may not manage them, who is told so', async () => {
    const { key } = await make('onlooker');
    const stranger = await openStranger();
    await stranger.request.post(`${product().url}/api/v1/login`, { data: { key } });
    const page = await stranger.newPage();
    await page.goto(`${product().url}/keys`);
    await page.getByText('Keys are managed by admins').waitFor();
    const navigation = page.getByRole('navigation', { name: 'Main' });
    await navigation.getByText('Runs').waitFor();
    expect(await navigation.getByText('Keys').count()).toBe(0);
    expect(await violations(page)).toEqual([]);
  });

  it('are found in a long list, which fits in every look', async () => {
    const hard = 'Ann-Kathrin-Müller-Lüdenscheidt-der-Abteilung-für-Rücksendungen-山田太郎-اختبار';
    await make(hard, { roles: ['viewer', 'reviewer', 'lead', 'operator', 'trainer'], expiresAt: inDays(2) });
    for (let at = 0; at < 24; at++) await make(`robot ${at}`);
    const page = await open('/keys');
    const first = page.getByRole('row').nth(1);
    await first.getByText(hard).waitFor(); // it ends first
    expect(await faultsInAllLooks(page)).toEqual([]);
    await page.getByLabel('Find by name').fill('robot 23');
    await page.getByRole('row', { name: /robot 22/ }).waitFor({ state: 'detached' });
    await page.getByRole('row', { name: /robot 23/ }).waitFor();
    expect(new URL(page.url()).searchParams.get('q')).toBe('robot 23');
  });
});
