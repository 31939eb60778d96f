# What backends can be besides Services, and what is said about them.

features_include() { $K get gatewayclass $GATEWAY_CLASS -o json | grep -q "\"$1\""; }
# audited PATH: whether Narthex has asked the API server for something whose path begins so.
audited() { grep -q "\"requestURI\":\"$1" "$NARTHEX_BED_DIR/audit.log"; }
pods_are_asked_for() { audited "/api/v1/namespaces/$NS/pods"; }

# may_select_pods VERB: gives the rights of deploy/kustomize/select-pods, or takes them back.
may_select_pods() {
    sed 's/^    name: narthex$/&\n    namespace: narthex-system/' ../../deploy/kustomize/select-pods/rbac.yaml | $K "$1" -f -
}

# Pods by their labels: watched in this namespace alone, and only where something selects some; told where that may not be.
check_x_backend() {
    ! pods_are_asked_for || fail "Pods are watched although nothing selects any"
    $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackend
metadata: {name: selected}
spec:
  type: EndpointSelector
  endpointSelector: {matchLabels: {app: echo}}
  port: {number: 3000}
  sessionPersistence: {cookie: {name: kept}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: selected}
spec:
  parentRefs: [{name: front}]
  hostnames: [selected.example]
  rules: [{backendRefs: [{group: gateway.networking.x-k8s.io, kind: XBackend, name: selected}]}]
YAML
    until_true 10 "the XBackend has no endpoint" answers "$FRONT/" 503 selected.example
    until_true 10 "an Event says why" sh -c "$K -n $NS get events | grep 'NoEndpoints.*xbackend/selected.*may not be'"
    may_select_pods apply
    until_true 30 "Pods that an XBackend selects answer" answers "$FRONT/" 200 selected.example
    until_true 10 "the XBackend is accepted" condition xbackend selected Accepted True
    pods_are_asked_for || fail "the audit log knows nothing of the watch"
    ! audited "/api/v1/pods" || fail "Pods of all namespaces are asked for"
    curl -s -D - -o /dev/null -m 5 -H 'Host: selected.example' "$FRONT/" | grep -qi '^set-cookie: kept=' || fail "no session"
    # All of them go: no endpoint is left.
    $K -n $NS scale deployment echo --replicas=0
    until_true 20 "no Pod, no answer" answers "$FRONT/" 503 selected.example
    $K -n $NS scale deployment echo --replicas=2
    until_true 20 "new Pods answer" answers "$FRONT/" 200 selected.example
    until_true 20 "the Service has them too" answers "$FRONT/" 200 steady.example
    $K -n $NS delete httproute/selected xbackend/selected
    may_select_pods delete
}

# The status of a policy is told as long as a route leads to what it is for.
check_traffic_policy() {
    $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XBackendTrafficPolicy
metadata: {name: limited}
spec:
  targetRefs: [{group: "", kind: Service, name: echo}]
  retryConstraint: {budget: {percent: 10}}
YAML
    until_true 10 "the policy is accepted" condition xbackendtrafficpolicy limited Accepted True
    is "$($K -n $NS get xbackendtrafficpolicy limited -o 'jsonpath={.status.ancestors[0].ancestorRef.name}')" front || fail "ancestor"
    $K -n $NS delete xbackendtrafficpolicy limited
}

# A policy that wants traces is refused where its Gateway can see it, until they can be sent; one that wants none is in force.
check_telemetry_policy() {
    policy() {
        $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: XTelemetryPolicy
metadata: {name: traces}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: $1}]
  tracing: $2
YAML
    }
    policy front '{mode: Enabled, provider: {backendRef: {name: echo, port: 80}}}'
    until_true 10 "the policy is refused" condition xtelemetrypolicy traces Accepted False Invalid
    policy front '{mode: Disabled}'
    until_true 10 "the policy is accepted" condition xtelemetrypolicy traces Accepted True
    policy gone '{mode: Disabled}'
    until_true 10 "its Gateway is missed" condition xtelemetrypolicy traces Accepted False TargetNotFound
    $K -n $NS delete xtelemetrypolicy traces
}

# Authorities for the whole cluster: there, changed to nonsense, gone.
check_trust_bundle() {
    until_true 10 "the class tells of ClusterTrustBundles" features_include ClusterTrustBundle
    local authority
    authority=$($K -n $NS get configmap kube-root-ca.crt -o 'jsonpath={.data.ca\.crt}')
    bundle() {
        python3 - "$1" <<'PY' | $K apply -f -
import json, sys
print(json.dumps({"apiVersion": "certificates.k8s.io/v1beta1", "kind": "ClusterTrustBundle", "metadata": {"name": "checks"},
    "spec": {"trustBundle": sys.argv[1]}}))
PY
    }
    bundle "$authority"
    $K -n $NS apply -f - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: bundled}
spec:
  targetRefs: [{group: "", kind: Service, name: bundled}]
  validation:
    hostname: echo.example
    caCertificateRefs: [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: checks}]
---
apiVersion: v1
kind: Service
metadata: {name: bundled}
spec: {selector: {app: echo}, ports: [{port: 443, targetPort: 3000}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bundled}
spec:
  parentRefs: [{name: front}]
  hostnames: [bundled.example]
  rules: [{backendRefs: [{name: bundled, port: 443}]}]
YAML
    until_true 10 "the bundle is believed" condition backendtlspolicy bundled ResolvedRefs True
    $K delete clustertrustbundle checks
    until_true 10 "a bundle that is gone is told" condition backendtlspolicy bundled ResolvedRefs False InvalidCACertificateRef
    until_true 10 "nobody is believed then" condition backendtlspolicy bundled Accepted False NoValidCACertificate
    until_true 10 "and nothing is sent in the clear" answers "$FRONT/" 502 bundled.example
    bundle "$authority"
    until_true 10 "a bundle that is back is believed" condition backendtlspolicy bundled ResolvedRefs True
    $K -n $NS delete httproute/bundled service/bundled backendtlspolicy/bundled
    $K delete clustertrustbundle checks
}
