{{/* A pod of `helm test`. {root, name, args, volumes} */}}
{{- define "shapecast.test" -}}
{{- $values := include "shapecast.component" (dict "root" .root "component" "api") | fromYaml -}}
{{- $own := dict "resources" (dict "requests" (dict "cpu" "50m" "memory" "96Mi") "limits" (dict "memory" "192Mi")) "config" dict "env" dict "podAnnotations" dict -}}
{{- range list "extraContainers" "initContainers" "extraVolumes" "extraVolumeMounts" "extraEnvFrom" "command" "args" }}{{ $_ := set $own . list }}{{ end -}}
{{- $_ := set $own "lifecycle" dict -}}
{{- range $key, $value := $own }}{{ $_ := set $values $key $value }}{{ end -}}
{{- $pod := include "shapecast.pod" (dict "root" .root "component" "tests" "values" $values "restartPolicy" "Never" "args" .args "volumes" .volumes) | fromYaml -}}
{{- $_ := set $pod.spec "serviceAccountName" (include "shapecast.serviceAccount" (dict "root" .root "component" "api" "values" $values)) -}}
apiVersion: v1
kind: Pod
metadata:
  {{- include "shapecast.metadata" (dict "root" .root "component" "tests" "suffix" (printf "test-%s" .name) "annotations" (dict "helm.sh/hook" "test" "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded")) | nindent 2 }}
spec:
  {{- toYaml $pod.spec | nindent 2 }}
{{- end -}}
