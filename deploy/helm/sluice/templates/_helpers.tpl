{{- define "sluice.labels" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "sluice.secretEnv" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: {{ .key }}{{ if hasKey . "optional" }}, optional: true{{ end }}}
{{- end }}

{{- define "sluice.env" -}}
- {name: SLUICE_NATS_URL, value: {{ .root.Values.nats.url | quote }}}
{{- with .root.Values.nats.credsSecret }}
- {name: SLUICE_NATS_CREDS, value: /etc/sluice/nats/nats.creds}
{{- end }}
{{- if .root.Values.redis.urlSecret }}
{{ include "sluice.secretEnv" (dict "name" "SLUICE_REDIS_URL" "secret" .root.Values.redis.urlSecret "key" "url") }}
{{- else }}
- {name: SLUICE_REDIS_URL, value: {{ .root.Values.redis.url | quote }}}
{{- end }}
- {name: SLUICE_PUBLIC_URL, value: {{ .root.Values.publicURL | quote }}}
- {name: SLUICE_API_ADDR, value: "0.0.0.0:8080"}
- {name: SLUICE_CALLBACKS_ADDR, value: "0.0.0.0:8081"}
- {name: SLUICE_ADMIN_ADDR, value: "0.0.0.0:9090"}
- {name: SLUICE_DRAIN_TIMEOUT, value: "{{ .root.Values.drainSeconds }}s"}
- {name: SLUICE_LOG_FORMAT, value: json}
{{- with .root.Values.provider.messagesURL }}
- {name: SLUICE_MESSAGES_URL, value: {{ . | quote }}}
{{- end }}
{{- with .root.Values.provider.secret }}
{{ include "sluice.secretEnv" (dict "name" "TWILIO_ACCOUNT_SID" "secret" . "key" "account_sid") }}
{{ include "sluice.secretEnv" (dict "name" "TWILIO_AUTH_TOKEN" "secret" . "key" "auth_token") }}
{{ include "sluice.secretEnv" (dict "name" "TWILIO_API_KEY" "secret" . "key" "api_key" "optional" true) }}
{{ include "sluice.secretEnv" (dict "name" "TWILIO_API_SECRET" "secret" . "key" "api_secret" "optional" true) }}
{{- end }}
{{- if eq .role "api" }}
{{ include "sluice.secretEnv" (dict "name" "SLUICE_API_KEYS" "secret" .root.Values.api.keysSecret "key" "keys") }}
{{- end }}
{{- range $name, $value := .root.Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
