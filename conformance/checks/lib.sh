# What the checks have in common. Sourced by run.sh.

K=kubectl
NS=narthex-checks
GATEWAY_CLASS=narthex

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "FAILED: $*"
    exit 1
}

# until_true SECONDS WHAT COMMAND…: tries again and again.
until_true() {
    local seconds=$1 what=$2 end
    shift 2
    end=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "not within ${seconds}s: $what"
        sleep 0.1
    done
}

# condition KIND NAME TYPE STATUS [REASON]: whether an object has a condition, at its newest generation.
condition() {
    local kind=$1 name=$2 type=$3 status=$4 reason=${5:-}
    $K -n $NS get "$kind" "$name" -o json | python3 -c '
import json, sys
kind, status, reason = sys.argv[1:]
thing = json.load(sys.stdin)
sets = [thing.get("status", {}).get("conditions", [])]
for others in ("parents", "ancestors"):
    sets += [other.get("conditions", []) for other in thing.get("status", {}).get(others, [])]
fits = lambda c: (c["type"] == kind and c["status"] == status and c.get("observedGeneration") == thing["metadata"]["generation"]
    and (not reason or c["reason"] == reason))
sys.exit(not any(fits(c) for conditions in sets for c in conditions))
' "$type" "$status" "$reason"
}

address_of() { $K -n $NS get gateway "$1" -o 'jsonpath={.status.addresses[0].value}'; }

# answers URL STATUS [HOST]: whether a GET gets this status.
answers() {
    [ "$(curl -s -o /dev/null -m 5 -w '%{http_code}' ${3:+-H "Host: $3"} "$1")" = "$2" ]
}

is() { [ "$1" = "$2" ]; }

restarts() {
    $K -n narthex-system get pods -o 'jsonpath={.items[*].status.containerStatuses[*].restartCount}'
}

# A backend, a Gateway and a route that every check can rely on.
prepare() {
    $K create namespace $NS
    $K -n $NS apply -f - <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers:
        - name: echo
          image: registry.k8s.io/gateway-api/conformance/echo-basic
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  selector: {app: echo}
  ports: [{port: 80, targetPort: 3000}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front}
spec:
  gatewayClassName: $GATEWAY_CLASS
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: steady}
spec:
  parentRefs: [{name: front}]
  hostnames: [steady.example]
  rules: [{backendRefs: [{name: echo, port: 80}]}]
YAML
    until_true 20 "the Gateway is programmed" condition gateway front Programmed True
    FRONT=http://$(address_of front)
    until_true 20 "the steady route answers" answers "$FRONT/" 200 steady.example
}
