# Metrics in Prometheus's text format, one a line.
echo "# TYPE queue_jobs gauge"
echo "queue_jobs{state=\"waiting\"} $(ls /var/spool/jobs 2>/dev/null | wc -l)"
