{{- /* What the pods of all roles share. Called with a dict: root, role, and what the role adds. */}}

{{- define "driftline.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "driftline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "driftline.probe" -}}
httpGet:
  path: {{ .path }}
  port: http
  scheme: {{ .tls | ternary "HTTPS" "HTTP" }}
timeoutSeconds: 5
{{- end -}}

{{- define "driftline.podTemplate" -}}
{{- $root := .root -}}
{{- $role := .role -}}
{{- $values := get $root.Values $role -}}
{{- $tls := $values.tls | default false -}}
metadata:
  labels:
    {{- include "driftline.labels" . | nindent 4 }}
    {{- with $root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Settings are read once, at start: a change restarts the pods. Budgets and secrets are watched instead.
    checksum/settings: {{ include "driftline.settings" $root | sha256sum }}
    {{- with $root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "driftline.serviceAccountName" $root }}
  automountServiceAccountToken: false
  # Service links would put DRIFTLINE_…_SERVICE_HOST into the environment, and a DRIFTLINE_ variable that
  # nothing reads is an error at start.
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  securityContext:
    {{- include "driftline.podSecurity" . | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "driftline.selector" . | nindent 10 }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ $role }}
      image: {{ include "driftline.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: {{ concat (list $role "--config" "/etc/driftline/driftline.yaml") (.args | default list) | toJson }}
      {{- with .env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: {{ include "driftline.port" $role }}
      startupProbe:
        {{- include "driftline.probe" (dict "path" "/-/healthy" "tls" $tls) | nindent 8 }}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        {{- include "driftline.probe" (dict "path" "/-/healthy" "tls" $tls) | nindent 8 }}
        periodSeconds: 10
        failureThreshold: 3
      readinessProbe:
        {{- include "driftline.probe" (dict "path" "/-/ready" "tls" $tls) | nindent 8 }}
        periodSeconds: 5
        failureThreshold: 2
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        {{- include "driftline.containerSecurity" . | nindent 8 }}
      volumeMounts:
        # A file of its own, so that the directory stays free for budgets and secrets. A change restarts the pod anyway.
        - {name: settings, mountPath: /etc/driftline/driftline.yaml, subPath: driftline.yaml, readOnly: true}
        - {name: data, mountPath: /var/lib/driftline}
        - {name: tmp, mountPath: /tmp}
        {{- if $values.webConfigSecret }}
        - {name: web-config, mountPath: /etc/driftline/web-config, readOnly: true}
        {{- end }}
        {{- with .mounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: settings
      configMap: {name: {{ include "driftline.fullname" $root }}-settings}
    - name: data
      emptyDir: {}
    - name: tmp
      emptyDir: {}
    {{- if $values.webConfigSecret }}
    - name: web-config
      secret: {secretName: {{ $values.webConfigSecret }}}
    {{- end }}
    {{- with .volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "driftline.databaseEnv" -}}
- name: DRIFTLINE_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.urlSecret.name }}
      key: {{ .Values.database.urlSecret.key }}
{{- end -}}
