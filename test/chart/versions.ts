/** Lowest and highest Kubernetes that the chart is checked against. */
export const KUBERNETES_VERSIONS = ['1.30.14', '1.37.1'] as const;

/** Where the kinds come from that are not Kubernetes' own. The programs that check the chart are pinned in tools/go.mod. */
export const MODULES: readonly { readonly module: string; readonly files: readonly string[] }[] = [
  {
    module: 'sigs.k8s.io/gateway-api@v1.6.1',
    files: ['config/crd/standard/gateway.networking.k8s.io_httproutes.yaml'],
  },
  { module: 'github.com/kedacore/keda/v2@v2.21.0', files: ['config/crd/bases/keda.sh_scaledobjects.yaml'] },
  {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.93.0',
    files: ['servicemonitors', 'podmonitors', 'prometheusrules'].map(
      (kind) => `example/prometheus-operator-crd/monitoring.coreos.com_${kind}.yaml`,
    ),
  },
];
