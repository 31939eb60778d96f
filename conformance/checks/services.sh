# A Service for each Gateway.

SERVICE=front-narthex

# of_service PATH [NAME]: a field of a Service.
of_service() { $K -n $NS get service "${2:-$SERVICE}" -o "jsonpath={$1}"; }

# slice_of FIELDS [NAME]: fields of the EndpointSlices of a Service.
slice_of() { $K -n $NS get endpointslices -l "kubernetes.io/service-name=${2:-$SERVICE}" -o "jsonpath={.items[*]$1}"; }

pods_of_narthex() {
    $K -n narthex-system get pods -l app.kubernetes.io/name=narthex -o 'jsonpath={.items[*].status.podIP}' | tr ' ' '\n' | sort
}

leads_to_pods() { is "$(slice_of '.endpoints[*].addresses[0]' | tr ' ' '\n' | sort)" "$(pods_of_narthex)"; }
programmed() { condition gateway "$1" Programmed True; }
no_such() { ! $K -n $NS get "$1" "$2"; }

# another_gateway NAME PORT PATH: one with the same port as the others may have, and a route that redirects to a path.
another_gateway() {
    $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: $1}
spec:
  gatewayClassName: $GATEWAY_CLASS
  listeners: [{name: http, port: $2, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: $1}
spec:
  parentRefs: [{name: $1}]
  rules:
    - filters:
        - type: RequestRedirect
          requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: "$3"}}
YAML
}

redirects_to() { is "$(curl -s -o /dev/null -m 5 -w '%{redirect_url}' "$1")" "$2"; }

check_service_columns() { check_columns; }

# Addresses by whence they are reached: one of each, then one inside the cluster alone, by number, and one that can't be.
check_service_routability() {
    # with_addresses NAME ADDRESSES
    with_addresses() {
        $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: $1}
spec:
  gatewayClassName: $GATEWAY_CLASS
  addresses: [$2]
  listeners: [{name: http, port: 8080, protocol: HTTP}]
YAML
    }
    # reached NAME: the routability of each address, sorted, with a star for one that is the Service's own.
    reached() {
        local inside
        inside=$(of_service .spec.clusterIP "$1-narthex")
        $K -n $NS get gateway "$1" -o json | python3 -c '
import json, sys
addresses = json.load(sys.stdin)["status"].get("addresses", [])
print(*sorted("%r%s" % (a.get("routability"), "*" * (a["value"] == sys.argv[1])) for a in addresses))' "$inside"
    }
    # has NAME STATUS REASON: its condition AddressesAssigned.
    has() { condition gateway "$1" AddressesAssigned "$2" "$3"; }
    with_addresses both "{}, {routability: Cluster}"
    until_true 10 "one address of each kind" has both True AddressesAssigned
    is "$(reached both)" "'' 'Cluster'*" || fail "both: $(reached both)"
    with_addresses inner "{routability: Cluster}"
    until_true 10 "an address inside the cluster" has inner True AddressesAssigned
    is "$(reached inner)" "'Cluster'*" || fail "inner: $(reached inner)"
    is "$(of_service .spec.type inner-narthex)" ClusterIP || fail "what is for the cluster alone has a load balancer"
    with_addresses fixed "{routability: Cluster, value: 198.19.77.77}"
    until_true 10 "the address that is asked for" has fixed True AddressesAssigned
    is "$(of_service .spec.clusterIP fixed-narthex)" 198.19.77.77 || fail "fixed: $(of_service .spec.clusterIP fixed-narthex)"
    with_addresses partly "{}, {routability: Cluster, value: 192.0.2.1}"
    until_true 10 "an address that can't be" has partly False PartiallyAssigned
    until_true 10 "the rest is served" condition gateway partly Programmed True
    with_addresses none "{routability: Cluster, value: 192.0.2.1}"
    until_true 10 "nothing that can be" has none False NotAssigned
    condition gateway none Programmed False AddressNotAssigned || fail "none: it is programmed"
    with_addresses word "{routability: testing.x-k8s.io/sentinel}"
    until_true 10 "a word without a meaning" has word True AddressesAssigned
    is "$(reached word)" "'testing.x-k8s.io/sentinel'" || fail "word: $(reached word)"
    $K -n $NS delete gateway both inner fixed partly none word
}

check_service_rights() {
    local verb
    check_no_listing_of_secrets
    for verb in create update delete; do
        [ "$($K auth can-i $verb services -A --as=$ACCOUNT)" = yes ] || fail "may not $verb Services"
    done
    for verb in patch deletecollection; do
        [ "$($K auth can-i $verb services -A --as=$ACCOUNT 2>/dev/null)" = no ] || fail "may $verb Services"
    done
    [ "$($K auth can-i update services --subresource=status -A --as=$ACCOUNT 2>/dev/null)" = no ] || fail "may write statuses of Services"
}

# Type, owner, labels; the Gateway's address is the Service's, and it leads to our Pods and nowhere else.
check_service_made() {
    is "$(of_service .spec.type)" LoadBalancer || fail "type"
    is "$(of_service .spec.externalTrafficPolicy)" Local || fail "externalTrafficPolicy"
    is "$(of_service .spec.selector)" "" || fail "it has a selector"
    is "$(of_service '.metadata.labels.gateway\.networking\.k8s\.io/gateway-name')" front || fail "label of the name"
    is "$(of_service '.metadata.ownerReferences[0].uid')" "$($K -n $NS get gateway front -o 'jsonpath={.metadata.uid}')" ||
        fail "owner"
    is "$(of_service '.status.loadBalancer.ingress[0].ip')" "$(address_of front)" || fail "address"
    until_true 10 "it leads to all Pods of Narthex" leads_to_pods
    is "$(slice_of '.ports[0].port')" "$(of_service '.spec.ports[0].targetPort')" || fail "port of the endpoints"
    is "$(slice_of '.endpoints[0].nodeName')" bed-1 || fail "node of the endpoints"
    # The backend is told the port that the client has used.
    curl -s -m 5 -H 'Host: steady.example' "$FRONT/" | tr -d ' \n' | grep -q '"X-Forwarded-Port":\["80"\]' ||
        fail "X-Forwarded-Port"
}

# What infrastructure says is on the Service, and only as long as it says so; what others write stays.
check_service_metadata() {
    $K -n $NS annotate service $SERVICE theirs=kept
    $K -n $NS patch gateway front --type=merge -p \
        '{"spec": {"infrastructure": {"labels": {"team": "shop"}, "annotations": {"dns.example/name": "a.example"}}}}'
    until_true 10 "the label is there" sh -c "[ \"\$($K -n $NS get service $SERVICE -o 'jsonpath={.metadata.labels.team}')\" = shop ]"
    is "$(of_service '.metadata.annotations.dns\.example/name')" a.example || fail "annotation"
    $K -n $NS patch gateway front --type=json -p '[{"op": "remove", "path": "/spec/infrastructure"}]'
    until_true 10 "the label is gone" sh -c "[ -z \"\$($K -n $NS get service $SERVICE -o 'jsonpath={.metadata.labels.team}')\" ]"
    is "$(of_service '.metadata.annotations.dns\.example/name')" "" || fail "the annotation is still there"
    is "$(of_service .metadata.annotations.theirs)" kept || fail "an annotation of somebody else is gone"
    # Ports are ours: whoever edits them sees them come back.
    local target
    target=$(of_service '.spec.ports[0].targetPort')
    $K -n $NS patch service $SERVICE --type=json -p '[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9}]'
    until_true 10 "the port leads to us again" sh -c "[ \"\$($K -n $NS get service $SERVICE -o 'jsonpath={.spec.ports[0].targetPort}')\" -ge 20000 ]"
    until_true 10 "it answers" answers "$FRONT/" 200 steady.example
    say "    targetPort $target, then $(of_service '.spec.ports[0].targetPort')"
}

# Two Gateways with the same port and no hostname: each at its own address.
check_service_ports() {
    another_gateway side 80 /side
    until_true 20 "it is programmed" programmed side
    local side
    side=http://$(address_of side)
    [ "$side" != "$FRONT" ] || fail "both have the same address"
    until_true 10 "the second one answers for itself" redirects_to "$side/x" "$side/side"
    answers "$FRONT/" 200 steady.example || fail "the first one does not answer for itself"
    answers "$side/" 200 steady.example && fail "the second one answers for the first"
    [ "$(of_service '.spec.ports[0].targetPort')" != "$(of_service '.spec.ports[0].targetPort' side-narthex)" ] ||
        fail "both lead to the same port"
    # Another port: it is added, and the one that was there stays where it is.
    local before
    before=$(of_service '.spec.ports[0].targetPort' side-narthex)
    $K -n $NS patch gateway side --type=json -p \
        '[{"op": "add", "path": "/spec/listeners/-", "value": {"name": "more", "port": 8080, "protocol": "HTTP"}}]'
    until_true 10 "the added port answers" redirects_to "$side:8080/x" "$side:8080/side"
    is "$(of_service '.spec.ports[0].targetPort' side-narthex)" "$before" || fail "the port moved"
}

check_service_of_listener_set() {
    $K -n $NS patch gateway front --type=merge -p '{"spec": {"allowedListeners": {"namespaces": {"from": "Same"}}}}'
    $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: joined}
spec:
  parentRef: {name: front}
  listeners: [{name: joined, port: 8081, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: joined}
spec:
  parentRefs: [{kind: ListenerSet, name: joined}]
  rules: [{backendRefs: [{name: echo, port: 80}]}]
YAML
    until_true 10 "the ListenerSet is programmed" condition listenerset joined Programmed True
    until_true 10 "its port answers" answers "$FRONT:8081/" 200 any.example
    $K -n $NS delete listenerset joined
    until_true 10 "its port is gone" sh -c "[ \"\$($K -n $NS get service $SERVICE -o 'jsonpath={.spec.ports[*].port}')\" = 80 ]"
}

# A Service of somebody else that has the name: it stays as it is, and the Gateway says so.
check_service_foreign() {
    $K -n $NS create service clusterip taken-narthex --tcp=80:9090
    local before
    before=$(of_service '.metadata.resourceVersion' taken-narthex)
    another_gateway taken 80 /taken
    until_true 10 "the Gateway says why" condition gateway taken Programmed False AddressNotAssigned
    until_true 20 "an Event says why" sh -c \
        "$K -n $NS get events --field-selector involvedObject.name=taken -o 'jsonpath={.items[*].reason}' | grep -q GatewayServiceForeign"
    sleep 2
    is "$(of_service '.metadata.resourceVersion' taken-narthex)" "$before" || fail "the Service was touched"
    is "$(slice_of '.metadata.labels.endpointslice\.kubernetes\.io/managed-by' taken-narthex)" \
        endpointslice-controller.k8s.io || fail "its endpoints were touched"
    $K -n $NS delete service taken-narthex
    until_true 20 "it is programmed once the name is free" programmed taken
    local address
    address=http://$(address_of taken)
    until_true 10 "it answers" redirects_to "$address/x" "$address/taken"
    $K -n $NS delete gateway,httproute taken
}

# Somebody deletes the Service: it is made again.
check_service_deleted() {
    $K -n $NS delete service $SERVICE
    until_true 20 "there is one again" $K -n $NS get service $SERVICE
    until_true 20 "it is programmed" programmed front
    FRONT=http://$(address_of front)
    until_true 10 "it answers" answers "$FRONT/" 200 steady.example
    until_true 10 "it leads to all Pods of Narthex" leads_to_pods
}

# What a Gateway shows, each time that it changes: `watched` ends it, and fails if an address was ever missing.
watch_gateway() {
    $K -n $NS get gateway front --watch -o \
        'jsonpath={.status.addresses[0].value} {.status.conditions[?(@.type=="Programmed")].status}{"\n"}' >"$SHOWN" 2>&1 &
    WATCHER=$!
}
watched() {
    kill $WATCHER
    wait $WATCHER || true
    ! grep -qv "^${FRONT#http://} True$" "$SHOWN" || fail "the Gateway showed: $(sort "$SHOWN" | uniq -c)"
}

# All replicas are replaced, the leader with them: not one request fails, the Service keeps its ports, the Gateway its
# address.
check_service_restart() {
    local before failed=0
    SHOWN=$(mktemp)
    before=$(of_service '.metadata.uid')$(of_service .spec.ports)
    watch_gateway
    $K -n narthex-system rollout restart deployment/narthex
    $K -n narthex-system rollout status deployment/narthex --timeout=120s &
    local rollout=$!
    while kill -0 $rollout 2>/dev/null; do
        answers "$FRONT/" 200 steady.example || failed=$((failed + 1))
    done
    until_true 60 "only the new Pods are left, and it leads to them" leads_to_pods
    for _ in $(seq 50); do answers "$FRONT/" 200 steady.example || failed=$((failed + 1)); done
    sleep 5
    watched
    [ $failed = 0 ] || fail "$failed requests failed"
    is "$(of_service '.metadata.uid')$(of_service .spec.ports)" "$before" || fail "the Service changed: $(of_service .spec.ports)"
}

# The leader dies. The next one changes nothing, and goes on with what is new.
check_service_leader_gone() {
    local leader before
    SHOWN=$(mktemp)
    before=$(of_service '.metadata.resourceVersion')
    watch_gateway
    leader=$($K -n narthex-system get lease narthex-leader -o 'jsonpath={.spec.holderIdentity}')
    curl -s --fail-with-body --unix-socket "$NARTHEX_BED_DIR/control" -X POST "http://bed/kill/narthex-system:${leader%_*}"
    RESTARTS_EXPECTED=$(restarts)
    another_gateway after 80 /after
    until_true 60 "a new Gateway is served by the next leader" programmed after
    local address
    address=http://$(address_of after)
    until_true 10 "it answers" redirects_to "$address/x" "$address/after"
    watched
    is "$(of_service '.metadata.resourceVersion')" "$before" || fail "the Service was written"
    until_true 60 "Narthex is ready again" sh -c "[ \$($K -n narthex-system get pods | grep -c ' 1/1 ') = 2 ]"
    RESTARTS_EXPECTED=$(restarts)
    $K -n $NS delete gateway,httproute after
}

# The Gateway goes to another controller: its Service goes.
check_service_elsewhere() {
    $K apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: other}
spec: {controllerName: example.com/other}
YAML
    another_gateway leaves 80 /leaves
    until_true 20 "it is programmed" programmed leaves
    $K -n $NS patch gateway leaves --type=merge -p '{"spec": {"gatewayClassName": "other"}}'
    until_true 20 "its Service is gone" no_such service leaves-narthex
    $K -n $NS delete gateway,httproute leaves
}

# The Gateway is deleted: its Service goes with it, and the endpoints with that.
check_service_ends() {
    another_gateway ends 80 /ends
    until_true 20 "it is programmed" programmed ends
    [ -n "$(slice_of .metadata.name ends-narthex)" ] || fail "no EndpointSlice"
    $K -n $NS delete gateway,httproute ends
    until_true 30 "its Service is gone" no_such service ends-narthex
    until_true 30 "its EndpointSlices are gone" sh -c \
        "[ -z \"\$($K -n $NS get endpointslices -l kubernetes.io/service-name=ends-narthex -o name)\" ]"
}
