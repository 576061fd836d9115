#!/bin/sh
# Packs the settings below $1.
set -e
tar -czf "$1/app.tgz" -C "$1" etc
