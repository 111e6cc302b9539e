import { owsConformance } from './ows-conformance.ts';
import { memoryFixture, postgresFixture } from './store-fixtures.ts';

owsConformance('the memory store', memoryFixture);
owsConformance('the Postgres store', postgresFixture);
