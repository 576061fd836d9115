#!/bin/sh
echo "$0" | wc -l > "$1"; shift; echo "$@"
