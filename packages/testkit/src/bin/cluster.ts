import { clusterProgram } from './cluster-program.ts';

await clusterProgram(process.argv.slice(2));
