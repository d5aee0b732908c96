#!/bin/sh
# Fills nginx.conf.template in from the environment and becomes nginx, in the foreground. Logs go to standard output and error.
#
#   SHAPECAST_EDGE_ORIGIN   host:port of the API or of the load balancer before it; required
#   SHAPECAST_EDGE_LISTEN   address:port to listen on (default 0.0.0.0:8080)
#   SHAPECAST_EDGE_DIR      folder for the cache, created if missing; local disk or tmpfs, never a network disk
#                           (default /var/cache/shapecast-edge)
#   NGINX                   program (default: nginx)
set -eu
: "${SHAPECAST_EDGE_ORIGIN:?is required: host:port of the Shapecast API}"
listen=${SHAPECAST_EDGE_LISTEN:-0.0.0.0:8080}
dir=${SHAPECAST_EDGE_DIR:-/var/cache/shapecast-edge}

mkdir -p "$dir"
sed -e "s|\${SHAPECAST_EDGE_ORIGIN}|$SHAPECAST_EDGE_ORIGIN|g" \
    -e "s|\${SHAPECAST_EDGE_LISTEN}|$listen|g" \
    -e "s|\${SHAPECAST_EDGE_DIR}|$dir|g" \
    "$(dirname "$0")/nginx.conf.template" > "$dir/nginx.conf"
exec "${NGINX:-nginx}" -p "$dir" -e stderr -c "$dir/nginx.conf" -g 'daemon off;'
