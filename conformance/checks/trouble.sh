# A cluster in trouble.

# bed VERB/NAME: asks the bed on its control socket.
bed() { curl -s --fail-with-body --unix-socket "$NARTHEX_BED_DIR/control" -X POST "http://bed/$1"; }

pod_of_narthex() { $K -n narthex-system get pods -o 'jsonpath={.items[0].metadata.name}'; }

# Narthex is killed and starts again while there is no API server: it serves what it had saved.
check_restart_without_api_server() {
    local pod
    pod=$(pod_of_narthex)
    sleep 6
    bed kill/kube-apiserver
    bed "kill/narthex-system:$pod"
    until_true 30 "the saved configuration is served" answers "$FRONT/" 200 steady.example
    bed start/kube-apiserver
    until_true 60 "the API server answers" $K get --raw /readyz
    until_true 60 "Narthex is ready again" sh -c "$K -n narthex-system get pods | grep ' 1/1 '"
    # What is new is served, so it follows the API server again.
    $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: after}
spec:
  parentRefs: [{name: front}]
  hostnames: [after.example]
  rules: [{backendRefs: [{name: echo, port: 80}]}]
YAML
    until_true 30 "a new route is served" answers "$FRONT/" 200 after.example
    until_true 30 "a new route has a status" condition httproute after Accepted True
    RESTARTS_EXPECTED=1
}

# The API server is away for 20 s: not one request fails, and no status is different afterwards.
check_api_server_away() {
    local before after failed=0 end=$((SECONDS + 20))
    before=$(statuses)
    bed kill/kube-apiserver
    while [ $SECONDS -lt $end ]; do
        answers "$FRONT/" 200 steady.example || failed=$((failed + 1))
    done
    bed start/kube-apiserver
    until_true 60 "the API server answers" $K get --raw /readyz
    for _ in $(seq 100); do answers "$FRONT/" 200 steady.example || failed=$((failed + 1)); done
    sleep 5
    after=$(statuses)
    [ $failed = 0 ] || fail "$failed requests failed"
    [ "$before" = "$after" ] || fail "statuses changed: $(diff <(echo "$before") <(echo "$after"))"
}

statuses() { $K get gateway,httproute,gatewayclass -A -o json | python3 -c '
import json, sys
for item in json.load(sys.stdin)["items"]:
    print(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"], json.dumps(item.get("status"), sort_keys=True))'; }

# A kind that the cluster loses and gets back: its objects are read again without a restart.
check_crds_come_later() {
    local crd=../../deploy/crds/gateway.networking.k8s.io_listenersets.yaml
    $K delete -f $crd
    sleep 3
    answers "$FRONT/" 200 steady.example || fail "the steady route does not answer without an unrelated CRD"
    $K apply --server-side -f $crd
    $K wait --for=condition=Established crd/listenersets.gateway.networking.k8s.io --timeout=20s
    $K -n $NS patch gateway front --type=merge -p '{"spec": {"allowedListeners": {"namespaces": {"from": "Same"}}}}'
    $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: later}
spec:
  parentRef: {name: front}
  listeners: [{name: later, port: 8081, protocol: HTTP}]
YAML
    until_true 60 "the ListenerSet is programmed" condition listenerset later Programmed True
}
