{{/* Names, labels, images and small conversions. */}}

{{- define "shapecast.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for the longest suffix of an object, `-replicator-internal`, and for the part that Kubernetes adds to pods. */}}
{{- define "shapecast.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "shapecast.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "shapecast.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* What pods are selected by. These may never change: a Deployment's selector cannot. */}}
{{- define "shapecast.selector" -}}
app.kubernetes.io/name: {{ include "shapecast.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "shapecast.labels" -}}
{{- $labels := dict -}}
{{- range list (include "shapecast.selector" . | fromYaml) (dict "app.kubernetes.io/version" .root.Chart.AppVersion "app.kubernetes.io/managed-by" .root.Release.Service "app.kubernetes.io/part-of" "shapecast" "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_")) -}}
{{- range $key, $value := . }}{{ $_ := set $labels $key $value }}{{ end -}}
{{- end -}}
{{- range list .root.Values.global.labels .root.Values.commonLabels (default dict .labels) -}}
{{- range $key, $value := . }}{{ if not (hasKey $labels $key) }}{{ $_ := set $labels $key $value }}{{ end }}{{ end -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* Labels of pods: none that changes with the chart alone, or every new chart would restart them. {root, component, labels} */}}
{{- define "shapecast.podLabels" -}}
{{- $labels := fromYaml (include "shapecast.labels" .) -}}
{{- toYaml (omit $labels "helm.sh/chart" "app.kubernetes.io/managed-by") -}}
{{- end -}}

{{/* metadata of an object: {root, component?, suffix?, name?, labels?, annotations?} */}}
{{- define "shapecast.metadata" -}}
name: {{ default (printf "%s%s" (include "shapecast.fullname" .root) (ternary (printf "-%s" .suffix) "" (not (empty .suffix)))) .name }}
namespace: {{ include "shapecast.namespace" .root }}
labels:
  {{- include "shapecast.labels" . | nindent 2 }}
{{- $annotations := merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Lays one map over another, in place. Unlike sprig's functions, also `false`, `0`, "" and null win. */}}
{{- define "shapecast.overlay" -}}
{{- $base := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- $below := get $base $key -}}
{{- if and (kindIs "map" $value) (kindIs "map" $below) -}}
{{- include "shapecast.overlay" (list $below $value) -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The values of a component: its own over `defaults`, as YAML. {root, component} */}}
{{- define "shapecast.component" -}}
{{- $values := deepCopy .root.Values.defaults -}}
{{- include "shapecast.overlay" (list $values (deepCopy (index .root.Values .component))) -}}
{{- toYaml $values -}}
{{- end -}}

{{/* The text of a number, without an exponent, or of anything else. */}}
{{- define "shapecast.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else if kindIs "float64" . }}{{ toJson . }}{{ else }}{{ toString . }}{{ end -}}
{{- end -}}

{{/* {root, image} */}}
{{- define "shapecast.image" -}}
{{- $registry := default .image.registry .root.Values.global.imageRegistry -}}
{{- $place := ternary (printf "%s/%s" $registry .image.repository) .image.repository (not (empty $registry)) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $place .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $place (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "shapecast.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ if kindIs "map" . }}{{ .name }}{{ else }}{{ . }}{{ end }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "shapecast.serviceAccount" -}}
{{- if .values.serviceAccount.create -}}
{{- default (printf "%s-%s" (include "shapecast.fullname" .root) .component) .values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a quantity of memory, such as 512Mi; nothing when it is none. */}}
{{- define "shapecast.bytes" -}}
{{- $text := include "shapecast.text" . -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- if hasKey $units $unit -}}
{{- mulf (trimSuffix $unit $text | float64) (get $units $unit) | floor | int64 -}}
{{- end -}}
{{- end -}}

{{/* Fewest pods that there are: whether it makes sense to protect some of them. {values} */}}
{{- define "shapecast.fewest" -}}
{{- if .values.autoscaling.enabled }}{{ int .values.autoscaling.minReplicas }}{{ else if .values.keda.enabled }}{{ int .values.keda.minReplicas }}{{ else }}{{ int .values.replicaCount }}{{ end -}}
{{- end -}}

{{- define "shapecast.many" -}}
{{- if eq .Values.mode "many-sources" }}true{{ end -}}
{{- end -}}

{{/* Names of chart-made objects that others refer to. */}}
{{- define "shapecast.sourcesSecret" -}}{{ include "shapecast.fullname" . }}-sources{{- end -}}
{{- define "shapecast.connectionsSecret" -}}{{ include "shapecast.fullname" . }}-connections{{- end -}}
{{- define "shapecast.keysSecret" -}}
{{- default (printf "%s-source-keys" (include "shapecast.fullname" .)) .Values.sourcesKeys.existingSecret -}}
{{- end -}}

{{/* Whether the cluster knows a kind, or is said to. {root, kind} */}}
{{- define "shapecast.knows" -}}
{{- if or .root.Values.monitoring.force (.root.Capabilities.APIVersions.Has .kind) }}true{{ end -}}
{{- end -}}
