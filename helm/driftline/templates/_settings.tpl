{{- /* driftline.yaml: the values' `settings` with what the chart itself decides laid over them. */}}

{{- define "driftline.settings" -}}
{{- $ingest := dict "listen" ":9797" "insecure_listen" .Values.ingest.insecureListen -}}
{{- $web := dict "listen" ":9798" "insecure_listen" .Values.web.insecureListen -}}
{{- if .Values.ingest.webConfigSecret -}}
{{- $_ := set $ingest "web_config_file" "/etc/driftline/web-config/web-config.yaml" -}}
{{- end -}}
{{- if .Values.web.webConfigSecret -}}
{{- $_ := set $web "web_config_file" "/etc/driftline/web-config/web-config.yaml" -}}
{{- end -}}
{{- $receivers := list -}}
{{- range .Values.receivers -}}
{{- $receiver := omit . "urlFrom" "secretFrom" -}}
{{- if .urlFrom -}}{{- $_ := set $receiver "url_file" (printf "/etc/driftline/receivers/%s/url" .name) -}}{{- end -}}
{{- if .secretFrom -}}{{- $_ := set $receiver "secret_file" (printf "/etc/driftline/receivers/%s/secret" .name) -}}{{- end -}}
{{- $receivers = append $receivers $receiver -}}
{{- end -}}
{{- /* Worker and notifier listen for probes and metrics only. */ -}}
{{- $worker := dict "listen" ":9799" "insecure_listen" true -}}
{{- $notifier := dict "listen" ":9796" "insecure_listen" true "receivers" $receivers -}}
{{- $kafka := dict "bootstrap" .Values.kafka.bootstrap "topic_prefix" .Values.kafka.topicPrefix "partitions" (int .Values.kafka.partitions) "replication" (int .Values.kafka.replication) -}}
{{- $own := dict "data_dir" "/var/lib/driftline" "kafka" $kafka "ingest" $ingest "worker" $worker "notifier" $notifier "web" $web -}}
{{- mergeOverwrite (deepCopy .Values.settings) $own | toYaml -}}
{{- end -}}
