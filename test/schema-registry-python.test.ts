import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { App } from '../src/app/app.ts';
import type { TestDatabase } from '../src/testing/database.ts';
import { pythonEnvironment, runPython } from '../src/testing/python.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';

const python = await pythonEnvironment(['confluent-kafka[schemaregistry,json,avro]==2.15.1']);

describe.skipIf(!python)(
  `Confluent’s stock registry client and its serializers${python ? '' : ' (skipped: no python3 here, or no PyPI)'}`,
  () => {
    let app: App;
    let database: TestDatabase;
    let close: OpenedApp['close'];
    let seen: Record<string, unknown>;
    const api = async (path: string, init?: RequestInit) => {
      const headers = { authorization: `Bearer ${app.adminKey}`, 'content-type': 'application/json' };
      return (await (await fetch(`${app.url}/api/v1${path}`, { ...init, headers })).json()) as never;
    };
    beforeAll(async () => {
      ({ app, database, close } = await openApp());
      const body = JSON.stringify({ name: 'reader', roles: ['viewer'] });
      const { key } = (await api('/keys', { method: 'POST', body })) as { key: string };
      const script = join(import.meta.dirname, 'clients', 'schema_registry.py');
      seen = (await runPython(python!, script, app.url, app.adminKey, key)) as typeof seen;
    }, 150_000);
    afterAll(() => close());

    it('register in their default mode, and read what was registered', () => {
      expect(seen).toMatchObject({
        read: { total: 1.5 },
        sameId: true,
        registered: [1, true],
        latest: [2, true, true],
        byId: true,
        versions: [1, 2],
        price: { price: 2.5 },
        subjects: true,
        compatible: [true, false],
        config: [[404, 40408], 'FULL', 'FULL', 'FULL', 'BACKWARD', 'NONE', 'NONE'],
        mode: [
          'READWRITE',
          [404, 40409],
          'READONLY',
          'READONLY',
          [422, 42205],
          'JSON',
          'READONLY',
          'READWRITE',
          ['.'],
        ],
      });
    });

    it('write and read Avro, each version as the other has it', () => {
      expect(seen).toMatchObject({
        avro: {
          read: { total: 1.5, at: '2026-01-02T03:04:05.678000+00:00' },
          sameId: true,
          type: 'AVRO',
          evolved: { total: 1.5, at: '2026-01-02T03:04:05.678000+00:00', note: '-' },
          incompatible: [409, 409],
          compatible: [true, false],
          referredBy: [true, [422, 42206]],
          referred: { amount: 5 },
          versions: [1, 2],
        },
      });
    });

    it('delete what is not in use, and have it back', () => {
      expect(seen).toMatchObject({
        deleted: [[1], 'JSON', false, true, [404, 40401], [1], [404, 40403], true],
        oldVersion: [1, [2]],
      });
    });

    it('understand what is refused', () => {
      expect(seen).toMatchObject({
        incompatible: [409, 409],
        forbidden: [403, 40301],
        protobuf: [422, 42201],
        unknownVersion: [404, 40402],
      });
    });

    it('leave contracts, and what the audit log says of them', async () => {
      const { body } = (await api('/contracts/orders')) as { body: object };
      expect(body).toMatchObject({
        version: '1.1.0',
        compatibility: 'NONE',
        owner: expect.stringMatching(/./),
      });
      const entries = await database.db.query(
        `select from audit_entries where entry like '%contract:orders"%'`,
      );
      expect(entries).toHaveLength(6); // two versions, the first one deleted, and a mode three times
    });
  },
);
