# Objects at the limits, and objects that won't hold still.

check_longest_name() {
    local name
    name=$(printf 'g%.0s' $(seq 253))
    $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: $name}
spec:
  gatewayClassName: $GATEWAY_CLASS
  listeners: [{name: http, port: 80, protocol: HTTP}]
YAML
    until_true 10 "the Gateway with a long name is programmed" condition gateway "$name" Programmed True
    $K -n $NS delete gateway "$name"
}

# 16 rules of 8 matches: 128 in all, the most that the CRD allows.
check_most_matches() {
    python3 - <<PY | $K -n $NS apply -f -
import json
rules = [{"matches": [{"path": {"type": "Exact", "value": f"/{r}/{m}"}, "method": "GET"} for m in range(8)],
          "backendRefs": [{"name": "echo", "port": 80}]} for r in range(16)]
print(json.dumps({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "most"},
    "spec": {"parentRefs": [{"name": "front"}], "hostnames": ["most.example"], "rules": rules}}))
PY
    until_true 10 "the route with most matches is accepted" condition httproute most Accepted True
    answers "$FRONT/15/7" 200 most.example || fail "the last match does not answer"
    answers "$FRONT/15/8" 404 most.example || fail "a path that nothing matches is answered"
}

# The largest Secret there can be, without a certificate in it: its listener says so, all others go on.
check_big_secret() {
    head -c 1000000 /dev/urandom >/tmp/big
    $K -n $NS create secret generic big --from-file=tls.crt=/tmp/big --from-literal=tls.key=x
    rm /tmp/big
    $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: big}
spec:
  gatewayClassName: $GATEWAY_CLASS
  listeners:
    - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: big}]}}
    - {name: http, port: 80, protocol: HTTP}
YAML
    until_true 10 "the Gateway with the big Secret is programmed" condition gateway big Programmed True
    $K -n $NS get gateway big -o json | grep -q '"InvalidCertificateRef"' || fail "the listener does not say what is wrong"
    until_true 10 "an Event on the Secret" sh -c "$K -n $NS get events | grep 'CertificateInvalid.*secret/big'"
    $K -n $NS delete gateway big
}

# A grant that is taken back takes the backend away, with the reason, and comes back with it.
check_revoked_grant() {
    $K create namespace $NS-other
    local grant
    grant=$(cat <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: routes, namespace: $NS}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: $NS-other}]
  to: [{group: "", kind: Service}]
YAML
    )
    $K apply -f - <<<"$grant"
    $K apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: granted, namespace: $NS-other}
spec:
  parentRefs: [{name: front, namespace: $NS}]
  hostnames: [granted.example]
  rules: [{backendRefs: [{name: echo, namespace: $NS, port: 80}]}]
YAML
    until_true 10 "the granted route answers" answers "$FRONT/" 200 granted.example
    $K -n $NS delete referencegrant routes
    until_true 10 "the route without a grant answers 500" answers "$FRONT/" 500 granted.example
    until_true 10 "the route says why" sh -c "$K -n $NS-other get httproute granted -o yaml | grep RefNotPermitted"
    $K apply -f - <<<"$grant"
    until_true 10 "the route with its grant again answers" answers "$FRONT/" 200 granted.example
    $K delete namespace $NS-other --wait=false
}

# A route that changes ten times a second, for 10 s: what it says in the end is what holds.
check_flipping() {
    local turn to proxy routes=http://127.0.0.1:8001/apis/gateway.networking.k8s.io/v1/namespaces/$NS/httproutes
    $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: flips}
spec:
  parentRefs: [{name: front}]
  hostnames: [flips.example]
  rules:
    - matches: [{path: {type: Exact, value: /one}}]
      backendRefs: [{name: echo, port: 80}]
YAML
    $K proxy --port 8001 >/dev/null &
    proxy=$!
    until_true 10 "kubectl proxy answers" answers "$routes" 200
    for turn in $(seq 50); do
        for to in one two; do
            curl -sf -o /dev/null -X PATCH -H 'Content-Type: application/json-patch+json' "$routes/flips" -d \
                "[{\"op\": \"replace\", \"path\": \"/spec/rules/0/matches/0/path/value\", \"value\": \"/$to\"}]" ||
                fail "the route can't be changed"
            sleep 0.1
        done
    done
    kill $proxy
    until_true 5 "the last word holds" answers "$FRONT/two" 200 flips.example
    answers "$FRONT/one" 404 flips.example || fail "an earlier word is answered"
    until_true 5 "its status is of the last generation" condition httproute flips Accepted True
}

# Somebody who writes an entry of his own all the time, and sometimes wipes ours: both are there in the end.
check_foreign_writer() {
    local turn
    for turn in $(seq 20); do
        $K -n $NS get httproute steady -o json | python3 -c '
import json, sys
route = json.load(sys.stdin)
turn = int(sys.argv[1])
parents = [p for p in route["status"]["parents"] if p["controllerName"] != "other.example/controller"]
if turn % 5 == 0:
    parents = []
condition = {"type": "Accepted", "status": "True", "reason": f"Turn{turn}", "message": "", "observedGeneration": 1,
             "lastTransitionTime": "2026-01-01T00:00:00Z"}
parents.append({"controllerName": "other.example/controller", "parentRef": {"name": "elsewhere"}, "conditions": [condition]})
route["status"]["parents"] = parents
json.dump(route, sys.stdout)' "$turn" | $K replace --subresource=status -f - >/dev/null 2>&1 || true
    done
    until_true 10 "our entry is there again" condition httproute steady Accepted True
    sleep 1
    $K -n $NS get httproute steady -o json | python3 -c '
import json, sys
parents = json.load(sys.stdin)["status"]["parents"]
other = [p for p in parents if p["controllerName"] == "other.example/controller"]
sys.exit(len(parents) != 2 or other[0]["conditions"][0]["lastTransitionTime"] != "2026-01-01T00:00:00Z")' ||
        fail "the foreign entry was touched"
}

# A newer release of the API: fields and words that this program does not know.
check_unknown_fields() {
    local crd=httproutes.gateway.networking.k8s.io
    $K get crd $crd -o json | python3 -c '
import json, sys
crd = json.load(sys.stdin)
crd["metadata"].pop("managedFields", None)
for version in crd["spec"]["versions"]:
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["hurry"] = {"type": "string"}
    rule = spec["properties"]["rules"]["items"]["properties"]
    rule["mood"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
json.dump(crd, sys.stdout)' | $K replace -f -
    sleep 1
    $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: newer}
spec:
  hurry: much
  parentRefs: [{name: front}]
  hostnames: [newer.example]
  rules: [{mood: {weather: {sun: 3}}, backendRefs: [{name: echo, port: 80}]}]
YAML
    $K -n $NS get httproute newer -o yaml | grep -q 'hurry: much' || fail "the API server dropped the field"
    until_true 10 "the newer route answers" answers "$FRONT/" 200 newer.example
    until_true 10 "the newer route is accepted" condition httproute newer Accepted True
}
