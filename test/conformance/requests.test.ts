import { afterAll, beforeAll } from 'vitest';
import { describeCors } from './cors.cases.ts';
import { describeDelete } from './delete.cases.ts';
import { describeParameters } from './parameters.cases.ts';
import { describeRouting } from './routing.cases.ts';
import { ConformanceService } from './support/service.ts';

let service: ConformanceService;
beforeAll(async () => {
  service = await ConformanceService.start();
});
afterAll(() => service.stop());

describeRouting(() => service);
describeCors(() => service);
describeParameters(() => service);
describeDelete(() => service);
