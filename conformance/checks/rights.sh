# What the ServiceAccount may do, and what users see.

ACCOUNT=system:serviceaccount:narthex-system:narthex

# What `kubectl get` shows: every column of the CRDs is filled.
check_columns() {
    local gateways routes
    gateways=$($K -n $NS get gateway front --no-headers)
    routes=$($K -n $NS get httproute steady --no-headers)
    [[ $gateways =~ ^front\ +narthex\ +198\.18\.[0-9.]+\ +True\  ]] || fail "kubectl get gateway: $gateways"
    [[ $routes =~ steady\.example ]] || fail "kubectl get httproute: $routes"
    [[ $($K get gatewayclass narthex --no-headers) =~ True ]] || fail "kubectl get gatewayclass"
}

check_no_listing_of_secrets() {
    local verb
    for verb in list watch create update patch delete; do
        [ "$($K auth can-i $verb secrets -A --as=$ACCOUNT 2>/dev/null)" = no ] || fail "may $verb Secrets"
    done
    for verb in get list watch create; do
        [ "$($K auth can-i $verb pods -A --as=$ACCOUNT 2>/dev/null)" = no ] || fail "may $verb Pods"
    done
    [ "$($K auth can-i update leases -n $NS --as=$ACCOUNT 2>/dev/null)" = no ] || fail "may update Leases elsewhere"
    [ "$($K auth can-i '*' '*' -A --as=$ACCOUNT 2>/dev/null)" = no ] || fail "may do everything"
}

# A Service for each Gateway takes rights that the default installation does not have.
check_no_writing_of_services() {
    local verb
    for verb in create update patch delete; do
        [ "$($K auth can-i $verb services -A --as=$ACCOUNT 2>/dev/null)" = no ] || fail "may $verb Services"
        [ "$($K auth can-i $verb endpointslices -A --as=$ACCOUNT 2>/dev/null)" = no ] || fail "may $verb EndpointSlices"
    done
}

# RBAC cannot say "only those that are referred to": `get` by name is what it can say. That Narthex asks for no others
# shows in the API server's own count of requests.
check_only_secrets_referred_to() {
    local before after
    $K -n $NS create secret generic nobody-refers-to-it --from-literal=a=b
    before=$(secret_reads)
    $K -n $NS annotate httproute steady touched=1 --overwrite
    sleep 2
    after=$(secret_reads)
    [ "$before" = "$after" ] || fail "Secrets were read: $before, then $after"
}

secret_reads() {
    $K get --raw /metrics | grep '^apiserver_request_total' | grep 'resource="secrets"' | grep -v 'verb="POST"' |
        awk '{sum += $NF} END {print sum + 0}'
}
