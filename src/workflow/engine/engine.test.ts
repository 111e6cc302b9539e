import { engineConformance } from './engine-conformance.ts';
import { memoryFixture, postgresFixture } from './stores-under-test.ts';

engineConformance('the memory store', memoryFixture);
engineConformance('the Postgres store', postgresFixture);
