{{/* Who may talk to whom. Each takes {root, component, values}. */}}

{{/* A list of peers, or anywhere. {peers, ports, direction} */}}
{{- define "shapecast.rule" -}}
- {{ if .peers }}{{ .direction }}:
    {{- toYaml .peers | nindent 4 }}
  {{ end }}ports:
    {{- range .ports }}
    - { protocol: {{ default "TCP" $.protocol }}, port: {{ . }} }
    {{- end }}
{{- end -}}

{{- define "shapecast.peer" -}}
podSelector:
  matchLabels:
    {{- include "shapecast.selector" . | nindent 4 }}
{{- end -}}

{{/* Name, DNS, and the internal port for Prometheus and the tests; the caller adds `ingress` and `egress`, texts of rules. */}}
{{- define "shapecast.networkPolicy" -}}
{{- if .root.Values.networkPolicy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "shapecast.metadata" (dict "root" .root "component" .component "suffix" .component) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "shapecast.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- if ne .component "edge" }}
    - from:
        - namespaceSelector:
            matchLabels:
              {{- toYaml .root.Values.monitoring.namespaceSelector | nindent 14 }}
        - {{ include "shapecast.peer" (dict "root" .root "component" "tests") | nindent 10 | trim }}
      ports:
        - { protocol: TCP, port: internal }
    {{- end }}
    {{- with .ingress }}
    {{- . | trim | nindent 4 }}
    {{- end }}
    {{- with .values.networkPolicy.extraIngress }}
    {{- tpl (toYaml .) $.root | nindent 4 }}
    {{- end }}
  egress:
    - to:
        - namespaceSelector: {}
          podSelector: { matchLabels: { k8s-app: kube-dns } }
      ports:
        - { protocol: UDP, port: 53 }
        - { protocol: TCP, port: 53 }
    {{- with .egress }}
    {{- . | trim | nindent 4 }}
    {{- end }}
    {{- with .values.networkPolicy.extraEgress }}
    {{- tpl (toYaml .) $.root | nindent 4 }}
    {{- end }}
{{- end }}
{{- end -}}

{{/* Where the services connect to: NATS; Redis; databases. {root, redis, postgres} */}}
{{- define "shapecast.serverEgress" -}}
{{- $policy := .root.Values.networkPolicy -}}
{{- $nats := ternary (list (include "shapecast.peer" (dict "root" .root "component" "nats") | fromYaml)) $policy.nats .root.Values.nats.enabled -}}
{{- $redis := ternary (list (include "shapecast.peer" (dict "root" .root "component" "valkey") | fromYaml)) $policy.redis .root.Values.valkey.enabled -}}
{{ include "shapecast.rule" (dict "direction" "to" "peers" $nats "ports" (list (int $policy.natsPort))) }}
{{- if .redis }}
{{ include "shapecast.rule" (dict "direction" "to" "peers" $redis "ports" $policy.redisPorts) }}
{{- end }}
{{- if .postgres }}
{{ include "shapecast.rule" (dict "direction" "to" "peers" $policy.postgres "ports" $policy.postgresPorts) }}
{{- end }}
{{- $endpoint := .root.Values.telemetry.otlp.endpoint -}}
{{- if or $policy.otlp $endpoint }}
{{- $url := urlParse (default "" $endpoint) -}}
{{- $port := ternary (ternary 443 80 (eq $url.scheme "https")) (int $policy.otlpPort) (not (empty $endpoint)) -}}
{{- with regexFind ":[0-9]+$" $url.host }}{{ $port = trimPrefix ":" . | int }}{{ end }}
{{ include "shapecast.rule" (dict "direction" "to" "peers" $policy.otlp "ports" (list $port)) }}
{{- end }}
{{- end -}}

{{- define "shapecast.replicatorNetworkPolicy" -}}
{{- $many := include "shapecast.many" .root -}}
{{- $ingress := "" -}}
{{- if and $many .root.Values.admin.enabled -}}
{{- $peers := default (list (dict "podSelector" (dict "matchLabels" (include "shapecast.selector" (dict "root" .root) | fromYaml)))) .root.Values.networkPolicy.adminClients -}}
{{- $ingress = include "shapecast.rule" (dict "direction" "from" "peers" $peers "ports" (list "admin")) -}}
{{- end -}}
{{- include "shapecast.networkPolicy" (merge (dict "ingress" $ingress "egress" (include "shapecast.serverEgress" (dict "root" .root "redis" $many "postgres" true))) .) -}}
{{- end -}}

{{- define "shapecast.routerNetworkPolicy" -}}
{{- include "shapecast.networkPolicy" (merge (dict "egress" (include "shapecast.serverEgress" (dict "root" .root "redis" true "postgres" true))) .) -}}
{{- end -}}

{{- define "shapecast.apiNetworkPolicy" -}}
{{- $policy := .root.Values.networkPolicy -}}
{{- $tests := include "shapecast.peer" (dict "root" .root "component" "tests") | fromYaml -}}
{{- $edge := include "shapecast.peer" (dict "root" .root "component" "edge") | fromYaml -}}
{{- $peers := ternary (list $edge $tests) (ternary (append $policy.clients $tests) list (not (empty $policy.clients))) .root.Values.edge.enabled -}}
{{- $ingress := include "shapecast.rule" (dict "direction" "from" "peers" $peers "ports" (list "http")) -}}
{{- $egress := include "shapecast.serverEgress" (dict "root" .root "redis" true) -}}
{{- with $policy.identityProviders -}}
{{- $egress = printf "%s\n%s" $egress (include "shapecast.rule" (dict "direction" "to" "peers" . "ports" (list 443))) -}}
{{- end -}}
{{- include "shapecast.networkPolicy" (merge (dict "ingress" $ingress "egress" $egress) .) -}}
{{- end -}}

{{- define "shapecast.edgeNetworkPolicy" -}}
{{- $policy := .root.Values.networkPolicy -}}
{{- $tests := include "shapecast.peer" (dict "root" .root "component" "tests") | fromYaml -}}
{{- $peers := ternary (append $policy.clients $tests) list (not (empty $policy.clients)) -}}
{{- $ingress := include "shapecast.rule" (dict "direction" "from" "peers" $peers "ports" (list "http")) -}}
{{- $api := include "shapecast.peer" (dict "root" .root "component" "api") | fromYaml -}}
{{- $egress := include "shapecast.rule" (dict "direction" "to" "peers" (list $api) "ports" (list "http")) -}}
{{- include "shapecast.networkPolicy" (merge (dict "ingress" $ingress "egress" $egress) .) -}}
{{- end -}}
