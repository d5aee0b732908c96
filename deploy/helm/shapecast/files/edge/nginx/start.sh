#!/bin/sh
# Fills nginx.conf.template in from the environment and becomes nginx, in the foreground. Logs go to standard output and error.
#
#   SHAPECAST_EDGE_ORIGIN   host:port of the API or of the load balancer before it; required
#   SHAPECAST_EDGE_LISTEN   address:port to listen on (default 0.0.0.0:8080)
#   SHAPECAST_EDGE_DIR      folder for the cache, created if missing; local disk or tmpfs, never a network disk
#                           (default /var/cache/shapecast-edge)
#   SHAPECAST_EDGE_SECRET   ELECTRIC_SECRET of the API, percent-encoded: then the tokens of users are checked in front of the cache
#   NGINX                   program (default: nginx)
set -eu
: "${SHAPECAST_EDGE_ORIGIN:?is required: host:port of the Shapecast API}"
listen=${SHAPECAST_EDGE_LISTEN:-0.0.0.0:8080}
dir=${SHAPECAST_EDGE_DIR:-/var/cache/shapecast-edge}
secret=${SHAPECAST_EDGE_SECRET:-}
here=$(dirname "$0")

case $secret in *[!A-Za-z0-9._~%-]*)
    echo "SHAPECAST_EDGE_SECRET has to be percent-encoded: letters, digits and . _ ~ % - only" >&2
    exit 2 ;;
esac

mkdir -p "$dir"
if [ -n "$secret" ]; then
    # Nobody else is to reach the cache: whatever it is asked for has been allowed.
    cache="unix:$dir/cache.sock"
    rm -f "$dir/cache.sock"
    gatekeeper="include $dir/gatekeeper.conf;"
else
    cache=$listen
    gatekeeper=""
fi

fill() {
    sed -e "s|# \${SHAPECAST_EDGE_GATEKEEPER}|$gatekeeper|g" \
        -e "s|\${SHAPECAST_EDGE_ORIGIN}|$SHAPECAST_EDGE_ORIGIN|g" \
        -e "s|\${SHAPECAST_EDGE_CACHE_LISTEN}|$cache|g" \
        -e "s|\${SHAPECAST_EDGE_LISTEN}|$listen|g" \
        -e "s|\${SHAPECAST_EDGE_SECRET}|$secret|g" \
        -e "s|\${SHAPECAST_EDGE_DIR}|$dir|g" "$1"
}
fill "$here/nginx.conf.template" > "$dir/nginx.conf"
if [ -n "$secret" ]; then
    (umask 077 && fill "$here/gatekeeper.conf.template" > "$dir/gatekeeper.conf")
fi
exec "${NGINX:-nginx}" -p "$dir" -e stderr -c "$dir/nginx.conf" -g 'daemon off;'
