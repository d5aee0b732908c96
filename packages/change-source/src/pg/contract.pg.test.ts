import { describeChangeSource } from '../contract/change-source.contract.ts';
import { openPgWorld } from '../contract/pg-world.contract.ts';

describeChangeSource('Postgres', () => openPgWorld());
