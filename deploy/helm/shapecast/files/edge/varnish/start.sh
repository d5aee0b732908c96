#!/bin/sh
# Fills default.vcl.template in from the environment and becomes varnishd, in the foreground.
#
#   SHAPECAST_EDGE_ORIGIN   host:port of the API or of the load balancer before it; required
#   SHAPECAST_EDGE_LISTEN   address:port to listen on (default 0.0.0.0:8080)
#   SHAPECAST_EDGE_DIR      working folder, created if missing; best on tmpfs (default /var/lib/varnish/shapecast-edge)
#   SHAPECAST_EDGE_STORAGE  where answers are kept (default malloc,1g; it takes about 1 KiB more per answer)
#   VARNISHD                program (default: varnishd)
#
# Reload after a change of the VCL: varnishadm -n $SHAPECAST_EDGE_DIR/varnish, vcl.load and vcl.use; no request is lost.
set -eu
: "${SHAPECAST_EDGE_ORIGIN:?is required: host:port of the Shapecast API}"
listen=${SHAPECAST_EDGE_LISTEN:-0.0.0.0:8080}
dir=${SHAPECAST_EDGE_DIR:-/var/lib/varnish/shapecast-edge}

mkdir -p "$dir"
sed -e "s|\${SHAPECAST_EDGE_ORIGIN_HOST}|${SHAPECAST_EDGE_ORIGIN%:*}|g" \
    -e "s|\${SHAPECAST_EDGE_ORIGIN_PORT}|${SHAPECAST_EDGE_ORIGIN##*:}|g" \
    "$(dirname "$0")/default.vcl.template" > "$dir/default.vcl"

# thread_pool_max    per pool, two pools. Clients that wait for an answer need no thread; each event stream and each answer that
#                    is being written needs one.
# listen_depth       a burst of clients that come back is not refused (the kernel's somaxconn caps it)
# http_req_size      32 KiB of query, as the API takes, and headers beside it; all of it below the API's 64 KiB, so that it is
#                    Varnish that refuses a client with too much. The API's refusal would be everybody's for a second.
# http_req_hdr_len   one header of 10,000 bytes (spec RT-11)
# http_max_hdr       the same for their number. The first line counts as five.
# http_resp_*        `electric-schema` of a wide table has tens of kilobytes
# workspace_*        what those have to fit in, per request
# timeout_idle       connections of clients stay open between two polls
# vsl_space          memory of the log that varnishlog reads
exec "${VARNISHD:-varnishd}" -F \
  -n "$dir/varnish" \
  -a "$listen" \
  -f "$dir/default.vcl" \
  -s "${SHAPECAST_EDGE_STORAGE:-malloc,1g}" \
  -p thread_pool_min=50 \
  -p thread_pool_max=5000 \
  -p listen_depth=4096 \
  -p http_req_size=56k \
  -p http_req_hdr_len=16k \
  -p http_max_hdr=48 \
  -p http_resp_size=128k \
  -p http_resp_hdr_len=64k \
  -p workspace_client=192k \
  -p workspace_backend=256k \
  -p timeout_idle=75 \
  -p vsl_space=16m
