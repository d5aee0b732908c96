{{/* Everything that is wrong with the values, a line each; each says what to set. */}}
{{- define "shapecast.problems" -}}
{{- $v := .Values -}}
{{- $many := include "shapecast.many" . -}}
{{- $components := dict -}}
{{- range $name := list "replicator" "router" "api" "edge" }}{{ $_ := set $components $name (include "shapecast.component" (dict "root" $ "component" $name) | fromYaml) }}{{ end -}}
{{- if not (or $v.global.imageRegistry $v.defaults.image.registry) }}
defaults.image.registry: is required; set it to the registry that you pushed the image to (docs/images.md).
{{- end }}
{{- include "shapecast.serverProblems" . }}
{{- if $many }}{{ include "shapecast.manyProblems" . }}{{ else }}{{ include "shapecast.singleProblems" . }}{{ end }}
{{- include "shapecast.settingProblems" . }}
{{- range $name, $c := $components }}
{{- if and $c.autoscaling.enabled $c.keda.enabled }}
{{ $name }}.keda.enabled: excludes {{ $name }}.autoscaling.enabled; two of them would scale against each other.
{{- end }}
{{- range $kind := list "autoscaling" "keda" }}
{{- $scale := get $c $kind }}
{{- if and $scale.enabled (gt (int $scale.minReplicas) (int $scale.maxReplicas)) }}
{{ $name }}.{{ $kind }}.maxReplicas: is less than minReplicas; set it to at least {{ int $scale.minReplicas }}.
{{- end }}
{{- if and $scale.enabled (eq $name "replicator") }}
replicator.{{ $kind }}.enabled: replicators are not scaled by load; set replicator.replicaCount by the number of sources.
{{- end }}
{{- if and $scale.enabled (eq $name "router") (not $many) }}
{{- $shards := int (default 8 (get (merge (dict) (default dict $v.replicator.config) $v.config) "SHAPECAST_SHARDS")) }}
{{- if gt (int $scale.maxReplicas) $shards }}
router.{{ $kind }}.maxReplicas: is {{ int $scale.maxReplicas }}, but the source has {{ $shards }} shards, and a router without one has nothing to do; set at most {{ $shards }}, or more SHAPECAST_SHARDS in config.
{{- end }}
{{- end }}
{{- end }}
{{- if and $c.keda.enabled (not $c.keda.prometheus.serverAddress) (not $c.keda.triggers) }}
{{ $name }}.keda.prometheus.serverAddress: is required with keda, or triggers of your own; set it to the address of Prometheus.
{{- end }}
{{- if eq $name "edge" }}
{{- if and $c.keda.enabled $c.keda.prometheus.serverAddress (or (not $c.keda.prometheus.query) (not $c.keda.prometheus.threshold)) }}
edge.keda.prometheus.query: is required with serverAddress, and so is threshold: the edge has no metric of its own; set both, or leave the address out and scale by CPU and triggers.
{{- end }}
{{- if and $c.autoscaling.enabled $c.autoscaling.ownMetric.enabled }}
edge.autoscaling.ownMetric.enabled: the edge has no metric of its own; set edge.autoscaling.metrics.
{{- end }}
{{- end }}
{{- end }}
{{- $drain := $components.api.drain }}
{{- $needed := add (int $drain.preStopSeconds) (int $drain.spreadSeconds) (int $drain.timeoutSeconds) 5 }}
{{- if lt (int $components.api.terminationGracePeriodSeconds) (int $needed) }}
api.terminationGracePeriodSeconds: is {{ int $components.api.terminationGracePeriodSeconds }}, but api.drain takes {{ $needed }} (preStopSeconds + spreadSeconds + timeoutSeconds + 5); set at least {{ $needed }}.
{{- end }}
{{- $needed = add (int $components.edge.drain.preStopSeconds) 25 }}
{{- if and $v.edge.enabled (lt (int $components.edge.terminationGracePeriodSeconds) (int $needed)) }}
edge.terminationGracePeriodSeconds: is {{ int $components.edge.terminationGracePeriodSeconds }}, but a long poll may take 20 s after edge.drain.preStopSeconds; set at least {{ $needed }}.
{{- end }}
{{- if and $v.edge.enabled (not $components.api.enabled) }}
edge.enabled: there is nothing behind it with api.enabled=false; enable the API.
{{- end }}
{{- if and $v.edge.gatekeeper.existingSecret (eq $v.edge.kind "varnish") }}
edge.gatekeeper.existingSecret: only nginx checks the tokens of users; set edge.kind to nginx.
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
ingress.hosts: is required with ingress.enabled; set at least one, such as {host: shapes.example.com}.
{{- end }}
{{- if and $v.gateway.enabled (not $v.gateway.parentRefs) }}
gateway.parentRefs: is required with gateway.enabled; set the name of the Gateway.
{{- end }}
{{- if and $v.monitoring.serviceMonitor.enabled $v.monitoring.podMonitor.enabled }}
monitoring.podMonitor.enabled: excludes monitoring.serviceMonitor.enabled; every metric would be there twice.
{{- end }}
{{- if and $v.monitoring.scrapeAnnotations (or $v.monitoring.serviceMonitor.enabled $v.monitoring.podMonitor.enabled) }}
monitoring.scrapeAnnotations: excludes the monitors; every metric would be there twice.
{{- end }}
{{- if $v.cleanup.dropReplicationSlots }}
{{- if $many }}
cleanup.dropReplicationSlots: is for mode single-source; with many sources set `state: removed` on each before uninstalling, and wait until they are gone.
{{- else if $v.nats.enabled }}
cleanup.dropReplicationSlots: needs NATS, and that of nats.enabled is uninstalled before; drop the slot by hand, as the notes say.
{{- end }}
{{- end }}
{{- if and $many $v.tests.table (not $v.tests.source) }}
tests.source: is required with tests.table and mode many-sources; set the id of a source.
{{- end }}
{{- include "shapecast.secretProblems" . }}
{{- include "shapecast.upgradeProblems" . }}
{{- include "shapecast.deprecations" . }}
{{- end -}}

{{/* Secrets of the user that are there and lack a key: pods would wait for it without end. Where there is no cluster, there is no Secret. */}}
{{- define "shapecast.secretProblems" -}}
{{- if .Values.checkSecrets }}
{{- range $name, $keys := include "shapecast.expectedSecrets" . | fromYaml }}
{{- $secret := lookup "v1" "Secret" (include "shapecast.namespace" $) $name }}
{{- range $key, $path := $keys }}
{{- if and $secret (not (hasKey (default dict $secret.data) $key)) }}
{{ $path }}: the Secret {{ $name }} has no key {{ $key }}{{ with keys (default dict $secret.data) | sortAlpha }}, only {{ join ", " . }}{{ end }}; add it, or name the key that it has.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Secrets of the user that the values name, as YAML: name to key to the value that names it. Not those of single sources, of which there may be hundreds. */}}
{{- define "shapecast.expectedSecrets" -}}
{{- $v := .Values -}}
{{- $many := include "shapecast.many" . -}}
{{- $all := list
    (list true $v.externalNats.existingSecret $v.externalNats.existingSecretKeys.url "externalNats.existingSecretKeys.url")
    (list true $v.externalNats.existingSecret $v.externalNats.existingSecretKeys.creds "externalNats.existingSecretKeys.creds")
    (list true $v.externalNats.tls.caSecret $v.externalNats.tls.caKey "externalNats.tls.caKey")
    (list true $v.externalRedis.existingSecret $v.externalRedis.existingSecretKeys.url "externalRedis.existingSecretKeys.url")
    (list true $v.externalRedis.tls.caSecret $v.externalRedis.tls.caKey "externalRedis.tls.caKey")
    (list true $v.externalPostgres.tls.caSecret $v.externalPostgres.tls.caKey "externalPostgres.tls.caKey")
    (list (not $many) $v.source.existingSecret $v.source.existingSecretKeys.databaseUrl "source.existingSecretKeys.databaseUrl")
    (list (not $many) $v.source.existingSecret $v.source.existingSecretKeys.pooledDatabaseUrl "source.existingSecretKeys.pooledDatabaseUrl")
    (list (not $many) $v.source.auth.existingSecret $v.source.auth.existingSecretKey "source.auth.existingSecretKey")
    (list $many $v.sourcesExistingSecret.name $v.sourcesExistingSecret.key "sourcesExistingSecret.key")
    (list $many $v.sourcesKeys.existingSecret $v.sourcesKeys.existingSecretKeys.database "sourcesKeys.existingSecretKeys.database")
    (list $many $v.sourcesKeys.existingSecret $v.sourcesKeys.existingSecretKeys.api "sourcesKeys.existingSecretKeys.api")
    (list (and $many $v.admin.enabled) $v.admin.existingSecret $v.admin.existingSecretKey "admin.existingSecretKey")
    (list $v.edge.enabled $v.edge.gatekeeper.existingSecret $v.edge.gatekeeper.existingSecretKey "edge.gatekeeper.existingSecretKey")
    (list $v.telemetry.otlp.endpoint $v.telemetry.otlp.existingSecret $v.telemetry.otlp.existingSecretKey "telemetry.otlp.existingSecretKey")
    (list $v.tests.table $v.tests.existingSecret $v.tests.existingSecretKey "tests.existingSecretKey") -}}
{{- $found := dict -}}
{{- range $all -}}
{{- if and (index . 0) (index . 1) (index . 2) -}}
{{- $keys := default dict (get $found (index . 1)) -}}
{{- $_ := set $keys (index . 2) (index . 3) -}}
{{- $_ := set $found (index . 1) $keys -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}

{{- define "shapecast.serverProblems" -}}
{{- $nats := .Values.externalNats -}}
{{- $urls := without (list $nats.url $nats.existingSecretKeys.url (ternary "nats" "" .Values.nats.enabled)) "" -}}
{{- if not $urls }}
externalNats.url: is required; set it, or externalNats.existingSecret with existingSecretKeys.url, or nats.enabled to try it out.
{{- else if gt (len $urls) 1 }}
externalNats.url: excludes externalNats.existingSecretKeys.url and nats.enabled; set one of the three.
{{- end }}
{{- if and (or $nats.existingSecretKeys.url $nats.existingSecretKeys.creds) (not $nats.existingSecret) }}
externalNats.existingSecret: is required with externalNats.existingSecretKeys; set the name of the Secret.
{{- end }}
{{- $redis := .Values.externalRedis -}}
{{- $urls = without (list $redis.url $redis.existingSecret (ternary "valkey" "" .Values.valkey.enabled)) "" -}}
{{- if not $urls }}
externalRedis.url: is required; set it, or externalRedis.existingSecret, or valkey.enabled to try it out.
{{- else if gt (len $urls) 1 }}
externalRedis.url: excludes externalRedis.existingSecret and valkey.enabled; set one of the three.
{{- end }}
{{- $unsafe := get (merge (dict) (default dict .Values.replicator.config) .Values.config) "SHAPECAST_ALLOW_UNSAFE" -}}
{{- if and (lt (int $nats.streamReplicas) 3) (ne (toString $unsafe) "true") (not .Values.nats.enabled) }}
externalNats.streamReplicas: fewer than 3 copies lose data with a single NATS server; set 3, or `SHAPECAST_ALLOW_UNSAFE: "true"` in config.
{{- end }}
{{- end -}}

{{- define "shapecast.singleProblems" -}}
{{- $source := .Values.source -}}
{{- if and (not $source.existingSecret) (not $source.databaseUrl) }}
source.existingSecret: is required; set the Secret with the URL of the database, or source.databaseUrl to try it out.
{{- else if and $source.existingSecret (or $source.databaseUrl $source.pooledDatabaseUrl) }}
source.databaseUrl: excludes source.existingSecret, as does source.pooledDatabaseUrl; set one of the two.
{{- end }}
{{- $auth := $source.auth -}}
{{- $secrets := or $auth.existingSecret $auth.secret -}}
{{- if and $auth.existingSecret $auth.secret }}
source.auth.secret: excludes source.auth.existingSecret; set one of the two.
{{- end }}
{{- if and (not $secrets) (not $auth.insecure) }}
source.auth.existingSecret: is required; set the Secret with the shared secrets of the API, or source.auth.insecure if everybody may read.
{{- else if and $secrets $auth.insecure }}
source.auth.insecure: excludes source.auth.existingSecret and source.auth.secret; set one of them.
{{- end }}
{{- if and $auth.access $auth.accessExistingConfigMap }}
source.auth.access: excludes source.auth.accessExistingConfigMap; set one of the two.
{{- end }}
{{- if or .Values.sources .Values.sourcesExistingSecret.name .Values.sourcesExistingConfigMap.name .Values.sourcesFilesSecrets }}
sources: are those of mode many-sources; set it, or describe the one database in source.
{{- end }}
{{- if .Values.admin.enabled }}
admin.enabled: the admin API is there with mode many-sources; set that, or leave it off.
{{- end }}
{{- end -}}

{{- define "shapecast.manyProblems" -}}
{{- $v := .Values -}}
{{- $keys := $v.sourcesKeys -}}
{{- if and (not $keys.existingSecret) (not $keys.generate) }}
sourcesKeys.existingSecret: is required with mode many-sources; set a Secret with two keys of `openssl rand -base64 32`, or sourcesKeys.generate.
{{- else if and $keys.existingSecret $keys.generate }}
sourcesKeys.generate: excludes sourcesKeys.existingSecret; set one of the two.
{{- end }}
{{- if or $v.source.databaseUrl $v.source.existingSecret }}
source.databaseUrl: is that of mode single-source; move it to sources, or set the mode.
{{- end }}
{{- $declared := without (list $v.sourcesExistingSecret.name $v.sourcesExistingConfigMap.name (ternary "sources" "" (not (empty $v.sources)))) "" -}}
{{- if gt (len $declared) 1 }}
sources: there are several of sources, sourcesExistingSecret and sourcesExistingConfigMap, and replicators follow one file; set one of the three.
{{- end }}
{{- if and $v.admin.enabled (not $v.admin.existingSecret) }}
admin.existingSecret: is required with admin.enabled; set the Secret with the token, of at least 16 characters.
{{- end }}
{{- range $id, $source := $v.sources }}
{{- $source = default dict $source }}
{{- range $field := list "databaseUrl" "pooledDatabaseUrl" }}
{{- if and (get $source $field) (get $source (printf "%sFrom" $field)) }}
sources.{{ $id }}.{{ $field }}: excludes {{ $field }}From; set one of the two.
{{- end }}
{{- end }}
{{- if not (or $source.databaseUrl $source.databaseUrlFrom) }}
sources.{{ $id }}.databaseUrl: is required, or databaseUrlFrom; set where the database is.
{{- end }}
{{- $guarded := or $source.secrets $source.secretFrom $source.access }}
{{- if and (not $guarded) (not $source.insecure) }}
sources.{{ $id }}.secretFrom: is required, or secrets, or access; or set insecure if everybody may read it.
{{- else if and $guarded $source.insecure }}
sources.{{ $id }}.insecure: excludes secrets, secretFrom and access; set one of them.
{{- end }}
{{- if and $source.secrets $source.secretFrom }}
sources.{{ $id }}.secrets: excludes secretFrom; set one of the two.
{{- end }}
{{- end }}
{{- end -}}

{{/* Variables: those that the chart sets itself, those that do not go with the mode, and those that nobody reads. */}}
{{- define "shapecast.settingProblems" -}}
{{- $owned := dict
    "DATABASE_URL" "source" "ELECTRIC_POOLED_DATABASE_URL" "source" "SHAPECAST_SOURCE_ID" "source.id" "ELECTRIC_REPLICATION_STREAM_ID" "source.replicationStreamId"
    "ELECTRIC_SECRET" "source.auth" "SHAPECAST_SECRETS_FILE" "source.auth" "SHAPECAST_ACCESS_FILE" "source.auth" "ELECTRIC_INSECURE" "source.auth.insecure"
    "SHAPECAST_NATS_URL" "externalNats" "SHAPECAST_REDIS_URL" "externalRedis" "SHAPECAST_REDIS_CLUSTER" "externalRedis.cluster" "SHAPECAST_STREAM_REPLICAS" "externalNats.streamReplicas"
    "SHAPECAST_SOURCES" "mode" "SHAPECAST_SOURCES_FILE" "sources" "SHAPECAST_SOURCES_KEY" "sourcesKeys" "SHAPECAST_SOURCES_API_KEY" "sourcesKeys"
    "SHAPECAST_ADMIN_PORT" "admin.port" "SHAPECAST_ADMIN_TOKEN" "admin" "SHAPECAST_PRESTOP_DELAY" "api.drain.preStopSeconds" "SHAPECAST_DRAIN_SPREAD" "api.drain.spreadSeconds"
    "SHAPECAST_HEALTH_PORT" "" "ELECTRIC_PORT" "" "PORT" "" "SHAPECAST_LAG_HEADER" "telemetry.lagHeader"
    "OTEL_EXPORTER_OTLP_ENDPOINT" "telemetry.otlp.endpoint" "ELECTRIC_OTLP_ENDPOINT" "telemetry.otlp.endpoint" "OTEL_EXPORTER_OTLP_HEADERS" "telemetry.otlp.existingSecret"
    "OTEL_TRACES_EXPORTER" "telemetry.otlp.traces" "OTEL_METRICS_EXPORTER" "telemetry.otlp.metrics" "OTEL_TRACES_SAMPLER" "telemetry.sampler"
    "OTEL_TRACES_SAMPLER_ARG" "telemetry.samplingRatio" "ELECTRIC_OTEL_SAMPLING_RATIO" "telemetry.samplingRatio" "OTEL_RESOURCE_ATTRIBUTES" "telemetry.resourceAttributes" -}}
{{- $known := splitList "\n" (trim (.Files.Get "files/variables.txt")) -}}
{{- range $place, $variables := include "shapecast.variablePlaces" . | fromYaml }}
{{- range $variable, $value := $variables }}
{{- if and (hasKey $owned $variable) (hasSuffix "config" $place) }}
{{ $place }}.{{ $variable }}: is set by the chart{{ with get $owned $variable }}; set {{ . }} instead{{ end }}.
{{- else if and (regexMatch "^(SHAPECAST|ELECTRIC)_" $variable) (not (has $variable $known)) (not $.Values.allowUnknownSettings) }}
{{ $place }}.{{ $variable }}: no service reads it; {{ include "shapecast.suggestion" (dict "variable" $variable "known" $known) }}, or allowUnknownSettings.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Wherever variables of services may be given, as YAML: the value to what it has. */}}
{{- define "shapecast.variablePlaces" -}}
{{- $places := dict "config" .Values.config "defaults.config" .Values.defaults.config "defaults.env" .Values.defaults.env -}}
{{- range $component := list "replicator" "router" "api" }}
{{- range $kind := list "config" "env" }}{{ $_ := set $places (printf "%s.%s" $component $kind) (default dict (get (get $.Values $component) $kind)) }}{{ end -}}
{{- end -}}
{{- toYaml $places -}}
{{- end -}}

{{/* The variable that has most of this one at its beginning and its end, if that is most of it. {variable, known} */}}
{{- define "shapecast.suggestion" -}}
{{- $found := "" -}}
{{- $most := 0 -}}
{{- $variable := .variable -}}
{{- range $name := .known -}}
{{- $shorter := min (len $variable) (len $name) | int -}}
{{- $same := 0 -}}
{{- range $side := list "hasPrefix" "hasSuffix" -}}
{{- $length := 0 -}}
{{- range $n := until (add1 $shorter | int) -}}
{{- if eq $side "hasPrefix" -}}
{{- if hasPrefix (trunc $n $variable) $name }}{{ $length = $n }}{{ end -}}
{{- else if hasSuffix (ternary "" (trunc (mul -1 $n | int) $variable) (eq $n 0)) $name -}}
{{- $length = $n -}}
{{- end -}}
{{- end -}}
{{- $same = add $same $length | int -}}
{{- end -}}
{{- /* Both ends count, but no character twice. */ -}}
{{- $same = min $same $shorter | int -}}
{{- $score := sub (mul 2 $same) (len $name) | int -}}
{{- if and (gt $score $most) (gt $same 12) }}{{ $most = $score }}{{ $found = $name }}{{ end -}}
{{- end -}}
{{- if $found }}set {{ $found }} if you meant that{{ else }}correct its name (docs/config.md){{ end -}}
{{- end -}}

{{/* From one major version to another somebody has to have read what it takes. */}}
{{- define "shapecast.upgradeProblems" -}}
{{- if .Release.IsUpgrade -}}
{{- $running := lookup "apps/v1" "Deployment" (include "shapecast.namespace" .) (printf "%s-router" (include "shapecast.fullname" .)) -}}
{{- $before := dig "metadata" "labels" "app.kubernetes.io/version" "" $running -}}
{{- if and $before (ne (index (splitList "." $before) 0) (index (splitList "." .Chart.AppVersion) 0)) (ne .Values.upgrade.acknowledge .Chart.AppVersion) }}
upgrade.acknowledge: {{ $before }} to {{ .Chart.AppVersion }} is a major upgrade; read its notes, then set "{{ .Chart.AppVersion }}".
{{- end }}
{{- end -}}
{{- end -}}
