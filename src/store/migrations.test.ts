import { expect, it } from 'vitest';
import { createTestDatabase } from '../testing/database.ts';
import { migrate } from './migrations.ts';

it('a database of a newer version is refused, and left as it is', async () => {
  const old = { name: '0001_old', sql: 'create table old (n int)' };
  const newer = { name: '0002_newer', sql: 'create table newer (n int)' };
  const { db, target, close } = await createTestDatabase([old, newer]);
  await expect(migrate(target, [old])).rejects.toMatchObject({
    code: 'start.schema',
    message: expect.stringContaining('0002_newer'),
  });
  expect(await db.query('select * from newer')).toEqual([]);
  expect(await migrate(target, [old, newer])).toEqual([]);
  await close();
});
