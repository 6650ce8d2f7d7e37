{{- define "walrus.operator" -}}
{{- if contains "walrus" .Release.Name -}}
{{- printf "%s-operator" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-walrus-operator" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "walrus.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "walrus.operator" .) -}}
{{- end -}}

{{- define "walrus.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "walrus.cluster" -}}
{{- .Values.cluster.name | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "walrus.selector" -}}
app.kubernetes.io/name: walrus-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "walrus.labels" -}}
{{ include "walrus.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Exactly what the operator does, and nothing else. */}}
{{- define "walrus.rules" -}}
- apiGroups: [walrus.io]
  resources: [walrusclusters]
  verbs: [list, watch, patch]
- apiGroups: [walrus.io]
  resources: [walrusclusters/status]
  verbs: [patch]
# Owner references that block the owner's deletion need it, where the API server enforces that.
- apiGroups: [walrus.io]
  resources: [walrusclusters/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [statefulsets/scale]
  verbs: [update]
- apiGroups: ['']
  resources: [pods]
  verbs: [list, watch, delete]
- apiGroups: ['']
  resources: [pods/eviction]
  verbs: [create]
- apiGroups: ['']
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, patch]
- apiGroups: ['']
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# Only where the API server has them: see spec.monitoring.
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors, prometheusrules]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: ['']
  resources: [events]
  verbs: [create]
{{- end -}}
