import { execFileSync } from 'node:child_process';
import { findTool, kubernetesVersion, type ToolName } from '../../chart/tools.ts';
import { ROOT } from '../../chart/paths.ts';

/**
 * `npm run test:k8s`: builds a Kubernetes API server, its controllers and etcd from tools/kubernetes/go.mod the first time, which takes
 * twenty minutes of two cores, then installs the chart into them in every way we know (test/k8s). More
 * arguments go to vitest.
 */
const PROGRAMS: readonly ToolName[] = ['helm', 'helm3', 'etcd', 'kube-apiserver', 'kube-controller-manager'];
const REPORT_EVERY_MS = 15_000;

console.log(`Kubernetes ${kubernetesVersion()}`);
let complete = true;
for (const name of PROGRAMS) {
  const startedAt = performance.now();
  let reportedAt = startedAt;
  const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(0);
  const path = await findTool(name, (count) => {
    if (performance.now() - reportedAt < REPORT_EVERY_MS) return;
    reportedAt = performance.now();
    console.log(`${name}: ${count} packages compiled after ${seconds()} s`);
  });
  complete &&= path !== undefined;
  if (path !== undefined) console.log(`${name}: ${path} (${seconds()} s)`);
}
// findTool has said what is missing and why.
if (!complete) {
  console.log('SKIP test:k8s: not all of the programs are here');
} else {
  const args = ['vitest', 'run', '--config', 'test/k8s/vitest.config.ts', ...process.argv.slice(2)];
  execFileSync('npx', args, { cwd: ROOT, stdio: 'inherit' });
}
