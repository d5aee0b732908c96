{{/* The recipe of deploy/edge for the kind that runs, as the files of a ConfigMap. */}}
{{- define "shapecast.edgeFiles" -}}
{{- range $path, $bytes := .Files.Glob (printf "files/edge/%s/*" .Values.edge.kind) }}
{{ base $path }}: |
  {{- toString $bytes | nindent 2 }}
{{- end }}
{{- end -}}

{{/* {root, component, values} */}}
{{- define "shapecast.edgePod" -}}
{{- $nginx := eq .values.kind "nginx" -}}
{{- $image := deepCopy .values.image -}}
{{- $ours := .root.Values.edge.image -}}
{{- $_ := set $image "repository" (default (ternary "nginxinc/nginx-unprivileged" "library/varnish" $nginx) $ours.repository) -}}
{{- $_ := set $image "tag" (default (ternary "1.28-alpine" "7.7" $nginx) $ours.tag) -}}
{{- $values := deepCopy .values -}}
{{- $_ := set $values "image" $image -}}
{{- $name := include "shapecast.fullname" .root -}}
{{- $env := dict
    "SHAPECAST_EDGE_ORIGIN" (dict "value" (printf "%s-api:%d" $name (int (include "shapecast.component" (dict "root" .root "component" "api") | fromYaml).service.port)))
    "SHAPECAST_EDGE_LISTEN" (dict "value" "0.0.0.0:8080")
    "SHAPECAST_EDGE_DIR" (dict "value" "/var/cache/shapecast-edge") -}}
{{- if $nginx -}}
{{- with .values.gatekeeper.existingSecret -}}
{{- $_ := set $env "SHAPECAST_EDGE_SECRET" (include "shapecast.fromSecret" (dict "name" . "key" $.values.gatekeeper.existingSecretKey) | fromYaml) -}}
{{- end -}}
{{- else -}}
{{- $_ := set $env "SHAPECAST_EDGE_STORAGE" (dict "value" (printf "malloc,%s" .values.varnishStorage)) -}}
{{- end -}}
{{- $list := list -}}
{{- range $key, $value := .values.env -}}
{{- $_ := set $env $key (ternary $value (dict "value" (include "shapecast.text" $value)) (kindIs "map" $value)) -}}
{{- end -}}
{{- range $key := keys $env | sortAlpha -}}
{{- $list = append $list (merge (dict "name" $key) (get $env $key)) -}}
{{- end -}}
{{- $cache := ternary (dict "sizeLimit" .values.nginxCacheSize) (dict "medium" "Memory" "sizeLimit" "256Mi") $nginx -}}
{{- $volumes := dict
    "recipe" (dict "path" "/etc/shapecast-edge" "volume" (dict "configMap" (dict "name" (printf "%s-edge" $name))))
    "cache" (dict "path" "/var/cache/shapecast-edge" "volume" (dict "emptyDir" $cache))
    "tmp" (dict "path" "/tmp" "volume" (dict "emptyDir" (dict "medium" "Memory" "sizeLimit" "64Mi"))) -}}
{{- $lifecycle := ternary (printf "preStop: { sleep: { seconds: %d } }" (int .values.drain.preStopSeconds)) "" (gt (int .values.drain.preStopSeconds) 0) -}}
{{- include "shapecast.pod" (dict "root" .root "component" .component "values" $values "spread" true
    "command" (list "/bin/sh" "/etc/shapecast-edge/start.sh")
    "ports" "- { name: http, containerPort: 8080, protocol: TCP }"
    "env" (toYaml $list) "volumes" (toYaml $volumes) "lifecycle" $lifecycle
    "probes" "startup: { httpGet: { path: /edge/health, port: http } }\nreadiness: { httpGet: { path: /edge/health, port: http } }\nliveness: { httpGet: { path: /edge/health, port: http } }"
    "checksums" (dict "checksum/config" (include "shapecast.edgeFiles" .root | sha256sum))) -}}
{{- end -}}
