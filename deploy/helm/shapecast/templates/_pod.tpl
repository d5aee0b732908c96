{{/* The pod template of every component and job, so that they cannot drift apart. */}}

{{/*
metadata and spec of a pod. {root, component, values, ports, env, volumes, args, probes, lifecycle, restartPolicy, checksums}
  env      YAML of a list
  volumes  YAML of a map: name to {path, volume}
  ports    YAML of a list
  probes   YAML of a map: startup, readiness, liveness
*/}}
{{- define "shapecast.pod" -}}
{{- $v := .values -}}
{{- $volumes := fromYaml (default "" .volumes) -}}
metadata:
  labels:
    {{- include "shapecast.podLabels" (dict "root" .root "component" .component "labels" $v.podLabels) | nindent 4 }}
  {{- $annotations := merge (dict) $v.podAnnotations (default dict .checksums) .root.Values.commonAnnotations }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with include "shapecast.pullSecrets" .root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  serviceAccountName: {{ include "shapecast.serviceAccount" . }}
  automountServiceAccountToken: {{ $v.automountServiceAccountToken }}
  enableServiceLinks: false
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with $v.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ int $v.terminationGracePeriodSeconds }}
  {{- with $v.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.affinity }}
  affinity:
    {{- tpl (toYaml .) $.root | nindent 4 }}
  {{- end }}
  {{- if .spread }}
  {{- if kindIs "invalid" $v.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      matchLabelKeys: [pod-template-hash]
      labelSelector:
        matchLabels:
          {{- include "shapecast.selector" $ | nindent 10 }}
    {{- end }}
  {{- else if $v.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- tpl (toYaml $v.topologySpreadConstraints) .root | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with $v.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.initContainers }}
  initContainers:
    {{- tpl (toYaml .) $.root | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "shapecast.image" (dict "root" .root "image" $v.image) }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      {{- with default .command $v.command }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with default .args $v.args }}
      args:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .ports }}
      ports:
        {{- . | trim | nindent 8 }}
      {{- end }}
      {{- with .env }}
      env:
        {{- . | trim | nindent 8 }}
      {{- end }}
      {{- with $v.extraEnvFrom }}
      envFrom:
        {{- tpl (toYaml .) $.root | nindent 8 }}
      {{- end }}
      {{- with $v.containerSecurityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- range $kind, $probe := fromYaml (default "" .probes) }}
      {{- $set := index $v.probes $kind }}
      {{- if $set }}
      {{ $kind }}Probe:
        {{- toYaml (merge (dict) $set (ternary dict $probe (or (hasKey $set "exec") (hasKey $set "tcpSocket") (hasKey $set "grpc")))) | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- with default (fromYaml (default "" .lifecycle)) $v.lifecycle }}
      lifecycle:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if or $volumes $v.extraVolumeMounts }}
      volumeMounts:
        {{- range $name, $one := $volumes }}
        - name: {{ $name }}
          mountPath: {{ $one.path }}
          {{- if not $one.volume.emptyDir }}
          readOnly: true
          {{- end }}
        {{- end }}
        {{- with $v.extraVolumeMounts }}
        {{- tpl (toYaml .) $.root | nindent 8 }}
        {{- end }}
      {{- end }}
    {{- with $v.extraContainers }}
    {{- tpl (toYaml .) $.root | nindent 4 }}
    {{- end }}
  {{- if or $volumes $v.extraVolumes }}
  volumes:
    {{- range $name, $one := $volumes }}
    - name: {{ $name }}
      {{- toYaml $one.volume | nindent 6 }}
    {{- end }}
    {{- with $v.extraVolumes }}
    {{- tpl (toYaml .) $.root | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end -}}

{{/* Probes of a service: it tells on its internal port, as the port is named. */}}
{{- define "shapecast.serviceProbes" -}}
startup: { httpGet: { path: /startupz, port: internal } }
readiness: { httpGet: { path: /readyz, port: internal } }
liveness: { httpGet: { path: /livez, port: internal } }
{{- end -}}

{{/* Annotations that make pods follow what they read once, at their start. */}}
{{- define "shapecast.checksums" -}}
{{- $inline := include "shapecast.inline" . | fromYaml -}}
{{- if $inline }}
checksum/secret: {{ $inline | toJson | sha256sum }}
{{- end }}
{{- end -}}

{{/* The pod of one of the three services. {root, component, values} */}}
{{- define "shapecast.servicePod" -}}
{{- $ports := "- { name: internal, containerPort: 9090, protocol: TCP }" -}}
{{- if eq .component "api" -}}
{{- $ports = printf "- { name: http, containerPort: 3000, protocol: TCP }\n%s" $ports -}}
{{- end -}}
{{- if and (eq .component "replicator") (include "shapecast.many" .root) .root.Values.admin.enabled -}}
{{- $ports = printf "%s\n- { name: admin, containerPort: %d, protocol: TCP }" $ports (int .root.Values.admin.port) -}}
{{- end -}}
{{- $lifecycle := "" -}}
{{- if and (eq .component "api") (gt (int .values.drain.preStopSeconds) 0) -}}
{{- $lifecycle = printf "preStop: { sleep: { seconds: %d } }" (int .values.drain.preStopSeconds) -}}
{{- end -}}
{{- $chart := include "shapecast.chartEnv" . -}}
{{- include "shapecast.pod" (dict "root" .root "component" .component "values" .values "spread" true
    "args" (list .component) "ports" $ports
    "env" (include "shapecast.env" (dict "root" .root "values" .values "chart" $chart))
    "volumes" (include "shapecast.volumes" .) "probes" (include "shapecast.serviceProbes" .) "lifecycle" $lifecycle
    "checksums" (merge (include "shapecast.checksums" .root | fromYaml) (include "shapecast.scrapeAnnotations" .root | fromYaml))) -}}
{{- end -}}

{{/* For a Prometheus that finds pods by their annotations instead of monitors. */}}
{{- define "shapecast.scrapeAnnotations" -}}
{{- if .Values.monitoring.scrapeAnnotations }}
prometheus.io/scrape: "true"
prometheus.io/port: "9090"
prometheus.io/path: /metrics
{{- end }}
{{- end -}}
