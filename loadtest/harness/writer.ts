import { parseArgs } from 'node:util';
import { parametersOf } from '../lib/profiles.ts';
import { planOf, SCENARIOS } from '../lib/plans.ts';
import { ControlServer } from './control-server.ts';
import { WriterRun, type WriterTarget } from './writer-run.ts';

/**
 * The writer of a load test, a process of its own so that its clock and its rate do not depend on what the readers do. Run it beside the
 * database; k6 talks to it at WRITER_URL. The databases come in the environment, because command lines are seen by everybody:
 *
 *   LOADTEST_TARGETS='[{"source":"","databaseUrl":"postgresql://..."}]' node loadtest/harness/writer.ts --scenario live-fanout --port 4600
 */
const { values } = parseArgs({
  options: {
    scenario: { type: 'string' },
    profile: { type: 'string', default: 'ci' },
    set: { type: 'string', default: '' },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '0' },
  },
});
const scenario = SCENARIOS.find((name) => name === values.scenario);
if (scenario === undefined) throw new Error(`--scenario must be one of ${SCENARIOS.join(', ')}`);
const plan = planOf(scenario, parametersOf(scenario, values.profile, values.set));
const targets = JSON.parse(process.env['LOADTEST_TARGETS'] ?? '[]') as WriterTarget[];

const run = await WriterRun.open(plan, targets);
const control = await ControlServer.listen(run, plan, values.host, Number(values.port));
const stop = (): void => {
  control.close();
  void run.close().finally(() => process.exit(0));
};
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
// Whoever started us is gone.
process.once('disconnect', stop);
process.stdout.write(`The writer waits at http://${values.host}:${control.port}\n`);
process.send?.({ port: control.port });
