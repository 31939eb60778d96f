#!/usr/bin/env bash
# Checks on a real API server of what no public suite looks at: rights, bad input, a cluster in trouble.
# `cargo xtask conformance checks [NAME]` runs it in the bed: `run.sh SET [NAME]`, where the set tells how Gateways get
# their addresses.
set -euo pipefail
cd "$(dirname "$0")"
. ./lib.sh
for file in rights.sh input.sh backends.sh trouble.sh services.sh; do . "./$file"; done

case $1 in
pool) CHECKS="columns no_listing_of_secrets no_writing_of_services only_secrets_referred_to longest_name most_matches big_secret revoked_grant \
x_backend traffic_policy telemetry_policy trust_bundle \
flipping foreign_writer unknown_fields crds_come_later restart_without_api_server api_server_away" ;;
services) CHECKS="service_columns service_rights service_made service_metadata service_ports service_of_listener_set \
service_foreign service_routability service_deleted service_restart service_leader_gone service_elsewhere service_ends" ;;
*) fail "no such set: $1" ;;
esac

prepare
for check in ${2:-$CHECKS}; do
    start=$SECONDS
    "check_$check"
    answers "$FRONT/" 200 steady.example || fail "$check: the steady route does not answer any more"
    say "ok  $check ($((SECONDS - start))s)"
done
[ -z "$(restarts | tr -d ' 0')" ] || [ "${RESTARTS_EXPECTED:-0}" = "$(restarts)" ] || fail "Narthex restarted: $(restarts)"
say "all checks passed"
