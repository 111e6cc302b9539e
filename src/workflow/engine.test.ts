import { engineConformance } from './engine-conformance.ts';
import { memoryFixture, postgresFixture } from './store-fixtures.ts';

engineConformance('the memory store', memoryFixture);
engineConformance('the Postgres store', postgresFixture);
