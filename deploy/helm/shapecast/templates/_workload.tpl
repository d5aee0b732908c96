{{/* Objects that every component has. Each takes {root, component, values}. */}}

{{/* `pod` is the template's name. */}}
{{- define "shapecast.deployment" -}}
{{- $v := .values -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "shapecast.metadata" (dict "root" .root "component" .component "suffix" .component) | nindent 2 }}
spec:
  {{- if not (or $v.autoscaling.enabled $v.keda.enabled) }}
  replicas: {{ int $v.replicaCount }}
  {{- end }}
  revisionHistoryLimit: {{ int $v.revisionHistoryLimit }}
  minReadySeconds: {{ int $v.minReadySeconds }}
  strategy:
    {{- toYaml $v.strategy | nindent 4 }}
  selector:
    matchLabels:
      {{- include "shapecast.selector" . | nindent 6 }}
  template:
    {{- include .pod . | nindent 4 }}
{{- end -}}

{{- define "shapecast.serviceAccountObject" -}}
{{- if .values.serviceAccount.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "shapecast.metadata" (dict "root" .root "component" .component "name" (include "shapecast.serviceAccount" .) "annotations" .values.serviceAccount.annotations) | nindent 2 }}
automountServiceAccountToken: {{ .values.automountServiceAccountToken }}
{{- end }}
{{- end -}}

{{- define "shapecast.pdb" -}}
{{- $pdb := .values.podDisruptionBudget -}}
{{- if and $pdb.enabled (gt (int (include "shapecast.fewest" .)) 1) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "shapecast.metadata" (dict "root" .root "component" .component "suffix" .component) | nindent 2 }}
spec:
  {{- if not (kindIs "invalid" $pdb.minAvailable) }}
  minAvailable: {{ $pdb.minAvailable }}
  {{- else }}
  maxUnavailable: {{ $pdb.maxUnavailable }}
  {{- end }}
  unhealthyPodEvictionPolicy: {{ $pdb.unhealthyPodEvictionPolicy }}
  selector:
    matchLabels:
      {{- include "shapecast.selector" . | nindent 6 }}
{{- end }}
{{- end -}}

{{- define "shapecast.hpa" -}}
{{- $auto := .values.autoscaling -}}
{{- if $auto.enabled -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "shapecast.metadata" (dict "root" .root "component" .component "suffix" .component) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "shapecast.fullname" .root }}-{{ .component }}
  minReplicas: {{ int $auto.minReplicas }}
  maxReplicas: {{ int $auto.maxReplicas }}
  metrics:
    {{- range $name, $target := dict "cpu" $auto.targetCPUUtilizationPercentage "memory" $auto.targetMemoryUtilizationPercentage }}
    {{- if $target }}
    - type: Resource
      resource: { name: {{ $name }}, target: { type: Utilization, averageUtilization: {{ int $target }} } }
    {{- end }}
    {{- end }}
    {{- with $auto.metrics }}
    {{- tpl (toYaml .) $.root | nindent 4 }}
    {{- end }}
  {{- with $auto.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* `query` and `threshold` are those of the component. */}}
{{- define "shapecast.scaledObject" -}}
{{- $keda := .values.keda -}}
{{- if $keda.enabled -}}
{{- $query := printf .query (include "shapecast.namespace" .root) (include "shapecast.fullname" .root) -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "shapecast.metadata" (dict "root" .root "component" .component "suffix" .component) | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "shapecast.fullname" .root }}-{{ .component }}
  minReplicaCount: {{ int $keda.minReplicas }}
  maxReplicaCount: {{ int $keda.maxReplicas }}
  pollingInterval: {{ int $keda.pollingInterval }}
  cooldownPeriod: {{ int $keda.cooldownPeriod }}
  {{- with default .values.autoscaling.behavior $keda.behavior }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- toYaml . | nindent 8 }}
  {{- end }}
  triggers:
    {{- with $keda.prometheus.serverAddress }}
    - type: prometheus
      metadata:
        serverAddress: {{ . | quote }}
        query: {{ default $query $keda.prometheus.query | quote }}
        threshold: {{ default $.threshold $keda.prometheus.threshold | quote }}
    {{- end }}
    {{- with .values.autoscaling.targetCPUUtilizationPercentage }}
    - type: cpu
      metricType: Utilization
      metadata: { value: {{ int . | quote }} }
    {{- end }}
    {{- with $keda.triggers }}
    {{- tpl (toYaml .) $.root | nindent 4 }}
    {{- end }}
{{- end }}
{{- end -}}

{{/* The internal ports of a component's pods: probes, metrics. Nobody outside of the cluster is to reach them. */}}
{{- define "shapecast.internalService" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "shapecast.metadata" (dict "root" .root "component" .component "suffix" (printf "%s-internal" .component) "labels" (dict "shapecast/ports" "internal")) | nindent 2 }}
spec:
  type: ClusterIP
  clusterIP: None
  # Prometheus and tests want those that are not ready, too.
  publishNotReadyAddresses: true
  ports:
    - { name: internal, port: 9090, targetPort: internal, protocol: TCP }
  selector:
    {{- include "shapecast.selector" . | nindent 4 }}
{{- end -}}

{{/* For clients. */}}
{{- define "shapecast.publicService" -}}
{{- $service := .values.service -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "shapecast.metadata" (dict "root" .root "component" .component "suffix" .component "labels" $service.labels "annotations" $service.annotations) | nindent 2 }}
spec:
  type: {{ $service.type }}
  ports:
    - { name: http, port: {{ int $service.port }}, targetPort: http, protocol: TCP, appProtocol: http }
  selector:
    {{- include "shapecast.selector" . | nindent 4 }}
{{- end -}}
