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

it('a database that another migration of the same name made is refused before anything is added to it', async () => {
  const made = { name: '0001_orders', sql: 'create table orders (n int)' };
  const edited = { name: '0001_orders', sql: 'create table orders (n bigint)' };
  const { db, target, close } = await createTestDatabase([made]);
  await expect(
    migrate(target, [edited, { name: '0002_next', sql: 'create table next (n int)' }]),
  ).rejects.toMatchObject({ code: 'start.schema', message: expect.stringContaining('0001_orders') });
  expect(await db.query("select to_regclass('next') as next")).toEqual([{ next: null }]);
  expect(await migrate(target, [made])).toEqual([]);
  await close();
});

it('a database from before there were digests is refused', async () => {
  const { target, db, close } = await createTestDatabase([
    { name: '0001_old', sql: 'create table old (n int)' },
  ]);
  await db.queryDynamic('drop table migration_digests');
  await db.queryDynamic("delete from kysely_migration where name = '0000_migration_digests'");
  await expect(
    migrate(target, [{ name: '0001_old', sql: 'create table old (n int)' }]),
  ).rejects.toMatchObject({
    code: 'start.schema',
  });
  await close();
});
