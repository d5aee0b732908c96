{{/* Values that were renamed or went: what to use instead. One line each; none so far. */}}
{{- define "shapecast.removedValues" -}}
{{- end -}}

{{- define "shapecast.deprecations" -}}
{{- range $path, $instead := include "shapecast.removedValues" . | fromYaml -}}
{{- $value := $.Values -}}
{{- range splitList "." $path }}{{ $value = ternary (get (default dict $value) .) nil (kindIs "map" $value) }}{{ end -}}
{{- if not (kindIs "invalid" $value) }}{{ printf "%s: was removed, %s.\n" $path $instead }}{{ end -}}
{{- end -}}
{{- end -}}
