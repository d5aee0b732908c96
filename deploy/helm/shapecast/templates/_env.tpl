{{/*
The variables of a component. A map, so that each has one value: the API server refuses two of one name. The chart's, then `config`,
then `<component>.config`, then `<component>.env`.
*/}}

{{/* One that comes from a Secret. {name, key} */}}
{{- define "shapecast.fromSecret" -}}
valueFrom: { secretKeyRef: { name: {{ .name | quote }}, key: {{ .key | quote }} } }
{{- end -}}

{{/* From a Secret of the user, or else the chart's own, in which the key is the name of the variable. {root, variable, secret, key, inline} */}}
{{- define "shapecast.confidential" -}}
{{- if .secret -}}
{{- include "shapecast.fromSecret" (dict "name" .secret "key" .key) -}}
{{- else if .inline -}}
{{- include "shapecast.fromSecret" (dict "name" (include "shapecast.connectionsSecret" .root) "key" .variable) -}}
{{- end -}}
{{- end -}}

{{/* What stands in the chart's own Secret because it was given inline, as YAML. */}}
{{- define "shapecast.inline" -}}
{{- $inline := dict -}}
{{- $v := .Values -}}
{{- if and (not $v.externalNats.existingSecretKeys.url) $v.externalNats.url }}{{ $_ := set $inline "SHAPECAST_NATS_URL" $v.externalNats.url }}{{ end -}}
{{- if and (not $v.externalRedis.existingSecret) $v.externalRedis.url }}{{ $_ := set $inline "SHAPECAST_REDIS_URL" $v.externalRedis.url }}{{ end -}}
{{- if not (include "shapecast.many" .) -}}
{{- if not $v.source.existingSecret -}}
{{- with $v.source.databaseUrl }}{{ $_ := set $inline "DATABASE_URL" . }}{{ end -}}
{{- with $v.source.pooledDatabaseUrl }}{{ $_ := set $inline "ELECTRIC_POOLED_DATABASE_URL" . }}{{ end -}}
{{- end -}}
{{- with $v.source.auth.secret }}{{ $_ := set $inline "ELECTRIC_SECRET" . }}{{ end -}}
{{- end -}}
{{- toYaml $inline -}}
{{- end -}}

{{/* Variables of the connection to NATS, as YAML. */}}
{{- define "shapecast.natsEnv" -}}
{{- $nats := .Values.externalNats -}}
{{- if .Values.nats.enabled }}
SHAPECAST_NATS_URL: { value: {{ printf "nats://%s-nats:4222" (include "shapecast.fullname" .) | quote }} }
{{- else }}
SHAPECAST_NATS_URL:
  {{- include "shapecast.confidential" (dict "root" . "variable" "SHAPECAST_NATS_URL" "secret" (ternary $nats.existingSecret "" (not (empty $nats.existingSecretKeys.url))) "key" $nats.existingSecretKeys.url "inline" $nats.url) | nindent 2 }}
{{- end }}
{{- if $nats.existingSecretKeys.creds }}
SHAPECAST_NATS_CREDS_FILE: { value: /etc/shapecast/nats/{{ $nats.existingSecretKeys.creds }} }
{{- end }}
{{- if $nats.tls.caSecret }}
SHAPECAST_NATS_CA_FILE: { value: /etc/shapecast/nats-ca/{{ $nats.tls.caKey }} }
{{- end }}
{{- end -}}

{{- define "shapecast.redisEnv" -}}
{{- $redis := .Values.externalRedis -}}
{{- if .Values.valkey.enabled }}
SHAPECAST_REDIS_URL: { value: {{ printf "redis://%s-valkey:6379" (include "shapecast.fullname" .) | quote }} }
{{- else }}
SHAPECAST_REDIS_URL:
  {{- include "shapecast.confidential" (dict "root" . "variable" "SHAPECAST_REDIS_URL" "secret" $redis.existingSecret "key" $redis.existingSecretKeys.url "inline" $redis.url) | nindent 2 }}
{{- end }}
{{- if $redis.cluster }}
SHAPECAST_REDIS_CLUSTER: { value: "true" }
{{- end }}
{{- if $redis.tls.caSecret }}
SHAPECAST_REDIS_CA_FILE: { value: /etc/shapecast/redis-ca/{{ $redis.tls.caKey }} }
{{- end }}
{{- end -}}

{{/* Variables that say which database the one source is. */}}
{{- define "shapecast.databaseEnv" -}}
{{- $source := .Values.source -}}
DATABASE_URL:
  {{- include "shapecast.confidential" (dict "root" . "variable" "DATABASE_URL" "secret" $source.existingSecret "key" $source.existingSecretKeys.databaseUrl "inline" $source.databaseUrl) | nindent 2 }}
{{- if or (and $source.existingSecret $source.existingSecretKeys.pooledDatabaseUrl) (and (not $source.existingSecret) $source.pooledDatabaseUrl) }}
ELECTRIC_POOLED_DATABASE_URL:
  {{- include "shapecast.confidential" (dict "root" . "variable" "ELECTRIC_POOLED_DATABASE_URL" "secret" $source.existingSecret "key" $source.existingSecretKeys.pooledDatabaseUrl "inline" $source.pooledDatabaseUrl) | nindent 2 }}
{{- end }}
ELECTRIC_REPLICATION_STREAM_ID: { value: {{ $source.replicationStreamId | quote }} }
{{- end -}}

{{- define "shapecast.postgresCaEnv" -}}
{{- if .Values.externalPostgres.tls.caSecret -}}
ELECTRIC_DATABASE_CA_CERTIFICATE_FILE: { value: /etc/shapecast/postgres-ca/{{ .Values.externalPostgres.tls.caKey }} }
{{- end }}
{{- end -}}

{{- define "shapecast.streamEnv" -}}
SHAPECAST_STREAM_REPLICAS: { value: {{ ternary "1" (toString (int .Values.externalNats.streamReplicas)) .Values.nats.enabled | quote }} }
{{- if .Values.nats.enabled }}
SHAPECAST_ALLOW_UNSAFE: { value: "true" }
# NATS reserves it, and refuses a stream that its disk has no room for.
SHAPECAST_STREAM_MAX_BYTES: { value: 1GiB }
{{- end }}
{{- with .Values.externalNats.syncInterval }}
SHAPECAST_NATS_SYNC_INTERVAL: { value: {{ . | quote }} }
{{- end }}
{{- end -}}

{{/* Keys that sources are sealed with, as far as the component needs them. {root, component} */}}
{{- define "shapecast.sealEnv" -}}
{{- $keys := .root.Values.sourcesKeys.existingSecretKeys -}}
{{- $secret := include "shapecast.keysSecret" .root -}}
SHAPECAST_SOURCES: { value: registry }
{{- if ne .component "api" }}
SHAPECAST_SOURCES_KEY:
  {{- include "shapecast.fromSecret" (dict "name" $secret "key" $keys.database) | nindent 2 }}
{{- end }}
{{- if ne .component "router" }}
SHAPECAST_SOURCES_API_KEY:
  {{- include "shapecast.fromSecret" (dict "name" $secret "key" $keys.api) | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Who is let in where there is one source. */}}
{{- define "shapecast.authEnv" -}}
{{- $auth := .Values.source.auth -}}
{{- if $auth.existingSecret }}
SHAPECAST_SECRETS_FILE: { value: /etc/shapecast/secrets/{{ $auth.existingSecretKey }} }
{{- else if $auth.secret }}
ELECTRIC_SECRET:
  {{- include "shapecast.fromSecret" (dict "name" (include "shapecast.connectionsSecret" .) "key" "ELECTRIC_SECRET") | nindent 2 }}
{{- end }}
{{- if $auth.insecure }}
ELECTRIC_INSECURE: { value: "true" }
{{- end }}
{{- if $auth.access }}
SHAPECAST_ACCESS_FILE: { value: /etc/shapecast/access/access.json }
{{- else if $auth.accessExistingConfigMap }}
SHAPECAST_ACCESS_FILE: { value: /etc/shapecast/access/{{ $auth.accessExistingConfigMapKey }} }
{{- end }}
{{- end -}}

{{/* Where the sources file is, if there is one. */}}
{{- define "shapecast.sourcesFile" -}}
{{- if include "shapecast.many" . -}}
{{- if .Values.sourcesExistingSecret.name -}}
/etc/shapecast/sources/{{ .Values.sourcesExistingSecret.key }}
{{- else if .Values.sourcesExistingConfigMap.name -}}
/etc/shapecast/sources/{{ .Values.sourcesExistingConfigMap.key }}
{{- else if or .Values.sources (not .Values.admin.enabled) -}}
/etc/shapecast/sources/sources.yaml
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Where traces and metrics are pushed to, if anywhere, and what pods are told apart by there. The names of Kubernetes come before that of
OpenTelemetry, which refers to them: only what stands before can be referred to. {root, component}
*/}}
{{- define "shapecast.telemetryEnv" -}}
{{- $otlp := .root.Values.telemetry.otlp -}}
{{- if $otlp.endpoint -}}
OTEL_EXPORTER_OTLP_ENDPOINT: { value: {{ $otlp.endpoint | quote }} }
OTEL_TRACES_EXPORTER: { value: {{ ternary "otlp" "none" $otlp.traces }} }
OTEL_METRICS_EXPORTER: { value: {{ ternary "otlp" "none" $otlp.metrics }} }
OTEL_TRACES_SAMPLER: { value: {{ .root.Values.telemetry.sampler }} }
OTEL_TRACES_SAMPLER_ARG: { value: {{ include "shapecast.text" .root.Values.telemetry.samplingRatio | quote }} }
{{- if $otlp.existingSecret }}
OTEL_EXPORTER_OTLP_HEADERS:
  {{- include "shapecast.fromSecret" (dict "name" $otlp.existingSecret "key" $otlp.existingSecretKey) | nindent 2 }}
{{- end }}
{{- $attributes := dict
    "k8s.namespace.name" "$(K8S_NAMESPACE_NAME)" "k8s.node.name" "$(K8S_NODE_NAME)" "k8s.pod.name" "$(K8S_POD_NAME)" "k8s.pod.uid" "$(K8S_POD_UID)"
    "k8s.container.name" .component "k8s.deployment.name" (printf "%s-%s" (include "shapecast.fullname" .root) .component) -}}
{{- range $key, $value := .root.Values.telemetry.resourceAttributes }}{{ $_ := set $attributes $key ($value | urlquery | replace "+" "%20") }}{{ end }}
{{- $pairs := list -}}
{{- range $key := keys $attributes | sortAlpha }}{{ $pairs = append $pairs (printf "%s=%s" $key (get $attributes $key)) }}{{ end }}
K8S_NAMESPACE_NAME: { valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
K8S_NODE_NAME: { valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
K8S_POD_NAME: { valueFrom: { fieldRef: { fieldPath: metadata.name } } }
K8S_POD_UID: { valueFrom: { fieldRef: { fieldPath: metadata.uid } } }
OTEL_RESOURCE_ATTRIBUTES: { value: {{ join "," $pairs | quote }} }
{{- end -}}
{{- end -}}

{{/* What the chart itself sets, as YAML: name to {value} or {valueFrom}. {root, component, values} */}}
{{- define "shapecast.chartEnv" -}}
{{- $many := include "shapecast.many" .root -}}
SHAPECAST_INSTANCE_ID: { valueFrom: { fieldRef: { fieldPath: metadata.name } } }
SHAPECAST_HEALTH_PORT: { value: "9090" }
ELECTRIC_LOG_COLORS: { value: "false" }
{{- with dig "limits" "memory" "" .values.resources }}
{{- with include "shapecast.bytes" . }}
NODE_OPTIONS: { value: {{ printf "--max-old-space-size=%d" (div (mul 3 (int64 .)) 4194304) | quote }} }
{{- if and $many (eq $.component "replicator") }}
SHAPECAST_WORKER_HEAP: { value: {{ printf "%dMiB" (div (int64 .) 2097152) | quote }} }
{{- end }}
{{- end }}
{{- end }}
{{ include "shapecast.telemetryEnv" . }}
{{ include "shapecast.natsEnv" .root }}
{{- if or $many (ne .component "replicator") }}
{{ include "shapecast.redisEnv" .root }}
{{- end }}
{{- if $many }}
{{ include "shapecast.sealEnv" . }}
{{- else }}
SHAPECAST_SOURCE_ID: { value: {{ .root.Values.source.id | quote }} }
{{- if ne .component "api" }}
{{ include "shapecast.databaseEnv" .root }}
{{- end }}
{{- end }}
{{- if ne .component "api" }}
{{ include "shapecast.postgresCaEnv" .root }}
{{- end }}
{{- if eq .component "replicator" }}
{{ include "shapecast.streamEnv" .root }}
{{- with include "shapecast.sourcesFile" .root }}
SHAPECAST_SOURCES_FILE: { value: {{ . | quote }} }
{{- end }}
{{- if and $many .root.Values.admin.enabled }}
SHAPECAST_ADMIN_PORT: { value: {{ int .root.Values.admin.port | quote }} }
SHAPECAST_ADMIN_TOKEN:
  {{- include "shapecast.fromSecret" (dict "name" .root.Values.admin.existingSecret "key" .root.Values.admin.existingSecretKey) | nindent 2 }}
{{- end }}
{{- end }}
{{- if eq .component "api" }}
ELECTRIC_PORT: { value: "3000" }
SHAPECAST_PRESTOP_DELAY: { value: "0s" }
SHAPECAST_DRAIN_SPREAD: { value: {{ printf "%ds" (int .values.drain.spreadSeconds) | quote }} }
{{- if .root.Values.telemetry.lagHeader }}
SHAPECAST_LAG_HEADER: { value: "true" }
{{- end }}
{{- if not $many }}
{{ include "shapecast.authEnv" .root }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The `env` of a container, as a list. {root, component, values, chart: YAML of a map} */}}
{{- define "shapecast.env" -}}
{{- $env := fromYaml .chart -}}
{{- range list .root.Values.config .values.config .values.env -}}
{{- range $name, $value := . -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $env $name -}}
{{- else if kindIs "map" $value -}}
{{- $_ := set $env $name $value -}}
{{- else -}}
{{- $_ := set $env $name (dict "value" (include "shapecast.text" $value)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{/* First what others may refer to as $(NAME). */}}
{{- range $name := keys $env | sortAlpha }}
- name: {{ $name }}
  {{- toYaml (get $env $name) | nindent 2 }}
{{- end }}
{{- end -}}
