{{/*
Files of a component: volumes and mounts by name, as YAML. Folders are mounted, never single files (`subPath`): those would not follow
a change of their Secret. {root, component}
*/}}
{{- define "shapecast.volumes" -}}
{{- $v := .root.Values -}}
{{- $many := include "shapecast.many" .root -}}
tmp:
  path: /tmp
  volume: { emptyDir: { medium: Memory, sizeLimit: 64Mi } }
{{- if $v.externalNats.existingSecretKeys.creds }}
nats:
  path: /etc/shapecast/nats
  volume: { secret: { secretName: {{ $v.externalNats.existingSecret | quote }}, defaultMode: 0440 } }
{{- end }}
{{- with $v.externalNats.tls.caSecret }}
nats-ca:
  path: /etc/shapecast/nats-ca
  volume: { secret: { secretName: {{ . | quote }}, defaultMode: 0440 } }
{{- end }}
{{- if or $many (ne .component "replicator") }}
{{- with $v.externalRedis.tls.caSecret }}
redis-ca:
  path: /etc/shapecast/redis-ca
  volume: { secret: { secretName: {{ . | quote }}, defaultMode: 0440 } }
{{- end }}
{{- end }}
{{- if ne .component "api" }}
{{- with $v.externalPostgres.tls.caSecret }}
postgres-ca:
  path: /etc/shapecast/postgres-ca
  volume: { secret: { secretName: {{ . | quote }}, defaultMode: 0440 } }
{{- end }}
{{- end }}
{{- if and (eq .component "replicator") (include "shapecast.sourcesFile" .root) }}
sources:
  path: /etc/shapecast/sources
  volume:
    projected:
      defaultMode: 0440
      sources:
        {{- include "shapecast.sourcesVolume" .root | nindent 8 }}
{{- end }}
{{- if and (eq .component "api") (not $many) }}
{{- with $v.source.auth.existingSecret }}
secrets:
  path: /etc/shapecast/secrets
  volume: { secret: { secretName: {{ . | quote }}, defaultMode: 0440 } }
{{- end }}
{{- if or $v.source.auth.access $v.source.auth.accessExistingConfigMap }}
access:
  path: /etc/shapecast/access
  volume: { configMap: { name: {{ default (printf "%s-access" (include "shapecast.fullname" .root)) $v.source.auth.accessExistingConfigMap | quote }} } }
{{- end }}
{{- end }}
{{- end -}}

{{/*
What is put together in the folder of the sources file. Secrets of single sources may be missing: without `optional` no replicator would
start any more, and as it is the last good version of the file stays.
*/}}
{{- define "shapecast.sourcesVolume" -}}
{{- if .Values.sourcesExistingSecret.name }}
- secret: { name: {{ .Values.sourcesExistingSecret.name | quote }} }
{{- else if .Values.sourcesExistingConfigMap.name }}
- configMap: { name: {{ .Values.sourcesExistingConfigMap.name | quote }} }
{{- else }}
- secret: { name: {{ include "shapecast.sourcesSecret" . | quote }} }
{{- range $id, $source := .Values.sources }}
{{- range $field, $value := $source }}
{{- if and (hasSuffix "From" $field) (kindIs "map" $value) }}
{{- with $value.secretKeyRef }}
- secret: { name: {{ .name | quote }}, items: [{ key: {{ .key | quote }}, path: {{ include "shapecast.sourceFile" (dict "id" $id "field" $field) | quote }} }], optional: true }
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.sourcesFilesSecrets }}
- secret: { name: {{ . | quote }}, optional: true }
{{- end }}
{{- end -}}

{{/* Name of the file of a `secretKeyRef`. {id, field} */}}
{{- define "shapecast.sourceFile" -}}
{{ .id }}.{{ trimSuffix "From" .field }}
{{- end -}}
