{{- /* What a JSON Schema cannot say about the values, in words. */}}

{{- define "driftline.checks" -}}
{{- if gt (int .Values.worker.replicas) (int .Values.kafka.partitions) -}}
{{- fail (printf "worker.replicas: %d workers cannot share %d partitions (kafka.partitions): the rest would idle" (int .Values.worker.replicas) (int .Values.kafka.partitions)) -}}
{{- end -}}
{{- range $role := list "ingest" "web" -}}
{{- $values := get $.Values $role -}}
{{- if not (or $values.webConfigSecret $values.insecureListen) -}}
{{- fail (printf "%s: set %s.webConfigSecret to a Secret with web-config.yaml, or %s.insecureListen=true to serve the cluster without authentication" $role $role $role) -}}
{{- end -}}
{{- if and $values.tls (not $values.webConfigSecret) -}}
{{- fail (printf "%s.tls: needs %s.webConfigSecret with a tls_server_config" $role $role) -}}
{{- end -}}
{{- end -}}
{{- $names := list -}}
{{- range .Values.receivers -}}
{{- if has .name $names -}}
{{- fail (printf "receivers: the name %s stands twice" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}
