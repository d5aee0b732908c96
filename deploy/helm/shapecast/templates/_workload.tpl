{{/* Objects that every component has. Each takes {root, component, values}. */}}

{{/* `pod` is the template's name. */}}
{{- define "shapecast.deployment" -}}
{{- $v := .values -}}
{{- $pods := include "shapecast.replicas" . | fromYaml -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "shapecast.metadata" (dict "root" .root "component" .component "suffix" .component "annotations" $pods.annotations) | nindent 2 }}
spec:
  {{- if hasKey $pods "replicas" }}
  replicas: {{ int $pods.replicas }}
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

{{/*
How many pods a Deployment is to have, as YAML: {replicas, annotations}. Without `replicas` where something scales it, because each upgrade
would take the number back to that of the values.

Leaving the number out is not enough where an earlier release of the chart has set it: taking away a field that one has set sets it to its
default, which is one pod, and so it stays until the autoscaler has looked. So the first upgrade with a scaler sets the number that there
is, and so do those after it, until somebody else has set the number, who then owns it: the autoscaler. Helm 3 knows no owners, and keeps
setting the number that there is. The annotation says which of the two the last release did.
*/}}
{{- define "shapecast.replicas" -}}
{{- if not (or .values.autoscaling.enabled .values.keda.enabled) -}}
replicas: {{ int .values.replicaCount }}
{{- else -}}
{{- $live := dict -}}
{{- if .root.Release.IsUpgrade -}}
{{- $live = lookup "apps/v1" "Deployment" (include "shapecast.namespace" .root) (printf "%s-%s" (include "shapecast.fullname" .root) .component) -}}
{{- end -}}
{{- $keep := and $live (ne (dig "metadata" "annotations" "shapecast/replicas" "" $live) "scaled") -}}
{{- if $keep -}}
{{- $applied := false -}}
{{- $others := false -}}
{{- range dig "metadata" "managedFields" list $live -}}
{{- $helm := and (hasPrefix "helm" (default "" .manager)) (eq .operation "Apply") -}}
{{- if $helm }}{{ $applied = true }}{{ else if hasKey (dig "fieldsV1" "f:spec" dict .) "f:replicas" }}{{ $others = true }}{{ end -}}
{{- end -}}
{{- $keep = not (and $applied $others) -}}
{{- end -}}
{{- if $keep -}}
replicas: {{ dig "spec" "replicas" 1 $live }}
annotations: { shapecast/replicas: kept }
{{- else -}}
annotations: { shapecast/replicas: scaled }
{{- end -}}
{{- end -}}
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
    {{- if $auto.ownMetric.enabled }}
    {{- $own := include "shapecast.ownMetric" . | fromYaml }}
    - type: Pods
      pods:
        metric: { name: {{ default $own.name $auto.ownMetric.name }} }
        target: { type: AverageValue, averageValue: {{ default $own.target $auto.ownMetric.target | quote }} }
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

{{/*
What a component is scaled by besides its CPU, as YAML: {name, target, query, type}; nothing for one without. The lag of routers is that of
the one furthest behind, and a target to keep under; of requests that wait each API pod takes its share, up to 60 % of what it admits.
*/}}
{{- define "shapecast.ownMetric" -}}
{{- $pods := printf "namespace=\"%s\",pod=~\"%s-%s-.+\"" (include "shapecast.namespace" .root) (include "shapecast.fullname" .root) .component -}}
{{- if eq .component "router" -}}
name: shapecast_router_lag_seconds
target: "2"
query: {{ printf "max(shapecast_router_lag_seconds{%s})" $pods | quote }}
type: Value
{{- else if eq .component "api" -}}
{{- $given := dict -}}
{{- range $settings := list .root.Values.config .values.config .values.env -}}
{{- range $variable := list "ELECTRIC_MAX_CONCURRENT_REQUESTS" "SHAPECAST_MAX_CONCURRENT_REQUESTS" -}}
{{- with get (default dict $settings) $variable }}{{ if kindIs "string" . }}{{ $given = . | fromJson }}{{ end }}{{ end -}}
{{- end -}}
{{- end -}}
name: shapecast_api_waiting_requests
target: {{ div (mul (int64 (default 10000 (get $given "existing"))) 6) 10 | quote }}
query: {{ printf "sum(shapecast_api_waiting_requests{%s})" $pods | quote }}
type: AverageValue
{{- end -}}
{{- end -}}

{{- define "shapecast.scaledObject" -}}
{{- $keda := .values.keda -}}
{{- if $keda.enabled -}}
{{- $own := include "shapecast.ownMetric" . | fromYaml -}}
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
      metricType: {{ default (default "AverageValue" $own.type) $keda.prometheus.metricType }}
      metadata:
        serverAddress: {{ . | quote }}
        query: {{ default $own.query $keda.prometheus.query | quote }}
        threshold: {{ default $own.target $keda.prometheus.threshold | quote }}
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
