package main

import (
	"context"
	"fmt"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	backends        = 10
	backendReplicas = 12
	// touchedRoutes are rewritten once a second, so that a status that is not written is noticed.
	touchedRoutes = 5
)

func backendName(number int) string { return fmt.Sprintf("backend-%d", number%backends) }

// furnish makes everything that all scenarios need.
func (c *cluster) furnish() error {
	ctx := context.Background()
	namespace := &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: here}}
	if _, err := c.core.CoreV1().Namespaces().Create(ctx, namespace, meta.CreateOptions{}); err != nil {
		return err
	}
	for number := range backends {
		if _, err := c.core.AppsV1().Deployments(here).Create(ctx, deployment(backendName(number)), meta.CreateOptions{}); err != nil {
			return err
		}
		service := &core.Service{
			ObjectMeta: meta.ObjectMeta{Name: backendName(number)},
			Spec: core.ServiceSpec{
				Selector: map[string]string{"app": backendName(number)},
				Ports:    []core.ServicePort{{Port: 8080, TargetPort: intstr.FromInt32(3000)}},
			},
		}
		if _, err := c.core.CoreV1().Services(here).Create(ctx, service, meta.CreateOptions{}); err != nil {
			return err
		}
	}
	if err := c.issue(); err != nil {
		return err
	}
	gateway := object("Gateway", here, map[string]any{
		"gatewayClassName": "narthex",
		"listeners": []any{
			map[string]any{"name": "http", "protocol": "HTTP", "port": 80},
			map[string]any{"name": "https", "protocol": "HTTPS", "port": 443, "tls": map[string]any{
				"certificateRefs": []any{map[string]any{"name": secretName}},
			}},
		},
	})
	if _, err := c.dynamic.Resource(gateways).Namespace(here).Create(ctx, gateway, meta.CreateOptions{}); err != nil {
		return err
	}
	for number := range backends {
		if err := c.createRoute(fmt.Sprintf("fixed-%d", number), number, 0); err != nil {
			return err
		}
	}
	for number := range touchedRoutes {
		if err := c.createRoute(fmt.Sprintf("touched-%d", number), number, 0); err != nil {
			return err
		}
	}
	_, err := c.core.NetworkingV1().Ingresses(here).Create(ctx, ingressObject(), meta.CreateOptions{})
	return err
}

// targets are what is always asked for.
func (c *cluster) targets() []*target {
	var targets []*target
	for number := range backends {
		name := fmt.Sprintf("fixed-%d", number)
		targets = append(targets, routeTarget(name, number))
	}
	return append(targets, &target{name: "Ingress", host: "ingress.example", path: "/", backend: backendName(0)})
}

func routeTarget(name string, number int) *target {
	return &target{name: name, host: name + ".example", path: "/some/path", backend: backendName(number)}
}

func (c *cluster) createRoute(name string, number, version int) error {
	route := object("HTTPRoute", name, routeSpec(name, number, version))
	_, err := c.dynamic.Resource(routes).Namespace(here).Create(context.Background(), route, meta.CreateOptions{})
	return err
}

// routeSpec is of a route that tells its version in its answers; the order of its rules changes with the version.
func routeSpec(name string, number, version int) map[string]any {
	backend := []any{map[string]any{"name": backendName(number), "port": 8080}}
	rules := make([]any, 0, 3)
	for place := range 3 {
		path := []string{"/", "/api", "/static/files"}[(place+version)%3]
		rules = append(rules, map[string]any{
			"matches": []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": path}}},
			"filters": []any{map[string]any{
				"type": "ResponseHeaderModifier",
				"responseHeaderModifier": map[string]any{
					"set": []any{map[string]any{"name": versionField, "value": fmt.Sprint(version)}},
				},
			}},
			"backendRefs": backend,
		})
	}
	return map[string]any{
		"parentRefs": []any{map[string]any{"name": here}},
		"hostnames":  []any{name + ".example"},
		"rules":      rules,
	}
}

const versionField = "X-Version"

func object(kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
		"metadata": map[string]any{"name": name},
		"spec":     jsonNumbers(spec),
	}}
}

// jsonNumbers turns int into int64, the only integer that unstructured objects may hold.
func jsonNumbers(value any) any {
	switch value := value.(type) {
	case int:
		return int64(value)
	case map[string]any:
		for key, inner := range value {
			value[key] = jsonNumbers(inner)
		}
	case []any:
		for index, inner := range value {
			value[index] = jsonNumbers(inner)
		}
	}
	return value
}

// deployment of a backend that, like most, needs the time that Kubernetes needs to take it out of its Service.
func deployment(name string) *apps.Deployment {
	replicas, field := int32(backendReplicas), func(path string) *core.EnvVarSource {
		return &core.EnvVarSource{FieldRef: &core.ObjectFieldSelector{FieldPath: path}}
	}
	labels := map[string]string{"app": name}
	return &apps.Deployment{
		ObjectMeta: meta.ObjectMeta{Name: name},
		Spec: apps.DeploymentSpec{
			Replicas: &replicas,
			Selector: &meta.LabelSelector{MatchLabels: labels},
			Template: core.PodTemplateSpec{
				ObjectMeta: meta.ObjectMeta{Labels: labels},
				Spec: core.PodSpec{Containers: []core.Container{{
					Name:  "echo",
					Image: "registry.k8s.io/gateway-api/conformance/echo-basic:v0.2.0",
					Env: []core.EnvVar{
						{Name: "POD_NAME", ValueFrom: field("metadata.name")},
						{Name: "NAMESPACE", ValueFrom: field("metadata.namespace")},
					},
					ReadinessProbe: &core.Probe{
						ProbeHandler:  core.ProbeHandler{TCPSocket: &core.TCPSocketAction{Port: intstr.FromInt32(3000)}},
						PeriodSeconds: 10,
					},
					Lifecycle: &core.Lifecycle{PreStop: &core.LifecycleHandler{Sleep: &core.SleepAction{Seconds: beforeStop}}},
				}}},
			},
		},
	}
}

func ingressObject() *networking.Ingress {
	class, prefix := "narthex", networking.PathTypePrefix
	return &networking.Ingress{
		ObjectMeta: meta.ObjectMeta{Name: here},
		Spec: networking.IngressSpec{
			IngressClassName: &class,
			Rules: []networking.IngressRule{{
				Host: "ingress.example",
				IngressRuleValue: networking.IngressRuleValue{HTTP: &networking.HTTPIngressRuleValue{
					Paths: []networking.HTTPIngressPath{{
						Path: "/", PathType: &prefix,
						Backend: networking.IngressBackend{Service: &networking.IngressServiceBackend{
							Name: backendName(0), Port: networking.ServiceBackendPort{Number: 8080},
						}},
					}},
				}},
			}},
		},
	}
}
