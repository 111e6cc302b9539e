import { owsConformance } from './ows-conformance.ts';
import { memoryFixture, postgresFixture } from './stores-under-test.ts';

owsConformance('the memory store', memoryFixture);
owsConformance('the Postgres store', postgresFixture);
