{{/* Labels of an object. In: dict root, component. */}}
{{- define "tidemill.labels" -}}
{{ include "tidemill.selector" . }}
app.kubernetes.io/part-of: tidemill
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* What selects the pods of a component, and never changes. In: dict root, component. */}}
{{- define "tidemill.selector" -}}
app.kubernetes.io/name: tidemill
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of a pod: no version, which would start every database anew at each upgrade. In: dict root, component. */}}
{{- define "tidemill.podLabels" -}}
{{ include "tidemill.selector" . }}
app.kubernetes.io/part-of: tidemill
{{- end }}

{{/* An image by digest, or else by tag. In: an image of the values. */}}
{{- define "tidemill.image" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}

{{/* Fields that every pod has. In: dict root, user (of the image), token (whether it may speak with Kubernetes). */}}
{{- define "tidemill.pod" -}}
automountServiceAccountToken: {{ .token | default false }}
# Kubernetes would give each pod variables like TIDEMILL_MLFLOW_PORT, which look like settings and are none.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What Kubernetes' restricted profile wants of every container. */}}
{{- define "tidemill.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Image and environment of a container of our own. In: the root. */}}
{{- define "tidemill.own" -}}
image: {{ include "tidemill.image" .Values.image }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{ include "tidemill.container" . }}
{{- end }}

{{/* Mounts of a container of our own: settings, secrets and contracts as files, and /tmp to write to. */}}
{{- define "tidemill.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: settings, mountPath: /etc/tidemill/settings, readOnly: true}
- {name: secrets, mountPath: /etc/tidemill/secrets, readOnly: true}
- {name: problems, mountPath: /etc/tidemill/problems, readOnly: true}
{{- end }}

{{/* Their volumes. The folder of secrets comes last: the governor adds a Secret of its own to it. */}}
{{- define "tidemill.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 512Mi}
- name: settings
  configMap: {name: tidemill-settings}
- name: problems
  configMap: {name: tidemill-problems}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      - secret: {name: tidemill-secrets}
{{- end }}

{{/* Pods start anew when what they read at their start has changed. In: the root. */}}
{{- define "tidemill.checksums" -}}
tidemill.io/settings: {{ include (print .Template.BasePath "/settings-configmap.yaml") . | sha256sum }}
tidemill.io/problems: {{ toYaml .Values.problems | sha256sum }}
tidemill.io/secrets: {{ toYaml (omit .Values.secrets "rendered") | sha256sum }}
{{- end }}

{{/* Addresses: each with its namespace, because runs may live in another one. In: the root. */}}
{{- define "tidemill.host" -}}tidemill-{{ .name }}.{{ .root.Release.Namespace }}{{- end }}
{{- define "tidemill.s3Endpoint" -}}
{{- if .Values.objectStore.embedded -}}
http://{{ include "tidemill.host" (dict "root" . "name" "object-store") }}:8333
{{- else -}}
{{ .Values.objectStore.externalEndpoint }}
{{- end -}}
{{- end }}
{{- define "tidemill.mlflowUri" -}}
{{- if .Values.mlflow.embedded -}}
http://{{ include "tidemill.host" (dict "root" . "name" "mlflow") }}:5000
{{- else -}}
{{ .Values.mlflow.externalUri }}
{{- end -}}
{{- end }}
{{- define "tidemill.pipelinesNamespace" -}}
{{ .Values.pipelines.namespace | default (eq .Values.pipelines.mode "multi-user" | ternary .Release.Namespace .Values.pipelines.apiNamespace) }}
{{- end }}

{{/* "true" where the chart makes the ConfigMap kfp-launcher. In: the root. */}}
{{- define "tidemill.ownsLauncher" -}}
{{- $mode := .Values.pipelines.launcherConfig -}}
{{- if or (eq $mode "always") (and (eq $mode "auto") (eq (include "tidemill.pipelinesNamespace" .) .Release.Namespace)) -}}true{{- end -}}
{{- end }}

{{/*
A password: of the Secret in the cluster, or else a new one, the same throughout this rendering.
In: dict root, secret, key.
*/}}
{{- define "tidemill.password" -}}
{{- $known := get .root.Values.secrets "rendered" | default dict -}}
{{- $name := printf "%s/%s" .secret .key -}}
{{- if not (hasKey $known $name) -}}
{{- $stored := (lookup "v1" "Secret" .root.Release.Namespace .secret).data | default dict -}}
{{- $_ := set $known $name (hasKey $stored .key | ternary (get $stored .key | b64dec) (randAlphaNum 40)) -}}
{{- $_ := set .root.Values.secrets "rendered" $known -}}
{{- end -}}
{{- get $known $name -}}
{{- end }}

{{/* The URL of one of the embedded databases. In: dict root, role. */}}
{{- define "tidemill.database" -}}
{{- $password := include "tidemill.password" (dict "root" .root "secret" "tidemill-postgresql" "key" .role) -}}
postgresql+psycopg://{{ .role }}:{{ $password }}@{{ include "tidemill.host" (dict "root" .root "name" "postgresql") }}:5432/{{ .role }}
{{- end }}

{{/* The embedded object store's keys. In: the root. */}}
{{- define "tidemill.s3Keys" -}}
{{- $access := include "tidemill.password" (dict "root" . "secret" "tidemill-storage" "key" "AWS_ACCESS_KEY_ID") -}}
{{- $secret := include "tidemill.password" (dict "root" . "secret" "tidemill-storage" "key" "AWS_SECRET_ACCESS_KEY") -}}
{{- dict "access" $access "secret" $secret | toJson -}}
{{- end }}

{{/* Contracts by name, parsed. In: the root. */}}
{{- define "tidemill.contracts" -}}
{{- $contracts := dict -}}
{{- range $name, $text := .Values.problems -}}
{{- $contract := fromYaml $text -}}
{{- if ne (dig "name" "" $contract) $name -}}
{{- fail (printf "problems.%s must be the contract named %s, but its name is %q" $name $name (dig "name" "" $contract)) -}}
{{- end -}}
{{- $_ := set $contracts $name $contract -}}
{{- end -}}
{{- toYaml $contracts -}}
{{- end }}

{{/* "true" where objects of the Prometheus operator are made. In: the root. */}}
{{- define "tidemill.hasOperator" -}}
{{- $mode := .Values.monitoring.objects -}}
{{- if or (eq $mode "always") (and (eq $mode "auto") (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) -}}true{{- end -}}
{{- end }}

{{/* How the governor and the bootstrap Job reach Kubeflow Pipelines. In: the root. */}}
{{- define "tidemill.pipelinesEnvironment" -}}
- {name: KF_PIPELINES_ENDPOINT, value: {{ .Values.pipelines.endpoint | quote }}}
{{- if eq .Values.pipelines.mode "multi-user" }}
- {name: KF_PIPELINES_SA_TOKEN_PATH, value: /var/run/secrets/kubeflow/pipelines/token}
{{- end }}
{{- end }}
{{- define "tidemill.pipelinesMount" -}}
{{- if eq .Values.pipelines.mode "multi-user" -}}
- {name: kubeflow-token, mountPath: /var/run/secrets/kubeflow/pipelines, readOnly: true}
{{- end }}
{{- end }}
{{- define "tidemill.pipelinesVolume" -}}
{{- if eq .Values.pipelines.mode "multi-user" -}}
- name: kubeflow-token
  projected:
    sources:
      - serviceAccountToken: {path: token, audience: pipelines.kubeflow.org, expirationSeconds: 7200}
{{- end }}
{{- end }}
