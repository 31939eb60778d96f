package ingress_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// echoPort is where the echo backend listens; servicePort is where Services offer it.
const (
	echoPort    = 3000
	servicePort = 8080
)

// world is the namespace of one scenario, with all that is in it.
type world struct {
	t         *testing.T
	namespace string
	// address is the first one in the Ingress's status.
	address string
}

// newWorld makes a namespace. It ends with the scenario, and the Ingresses in it before: the next scenario has the same
// hosts, and the older Ingress would win.
func newWorld(t *testing.T) *world {
	t.Helper()
	made, err := client.CoreV1().Namespaces().Create(t.Context(), &core.Namespace{
		ObjectMeta: meta.ObjectMeta{GenerateName: "ingress-scenario-"},
	}, meta.CreateOptions{})
	if err != nil {
		t.Fatalf("namespace: %v", err)
	}
	w := &world{t: t, namespace: made.Name}
	t.Cleanup(w.end)
	return w
}

func (w *world) end() {
	// The test's own context has ended by now.
	ctx := context.Background()
	now := int64(0)
	if err := client.NetworkingV1().Ingresses(w.namespace).DeleteCollection(ctx, meta.DeleteOptions{},
		meta.ListOptions{}); err != nil {
		w.t.Errorf("Ingresses of %s: %v", w.namespace, err)
	}
	// The rest of it ends in the background, which takes its time.
	if err := client.CoreV1().Namespaces().Delete(ctx, w.namespace, meta.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		w.t.Errorf("namespace %s: %v", w.namespace, err)
	}
}

// serve makes the backends that an Ingress names, waits until they are ready, and makes the Ingress.
func (w *world) serve(ingress *networking.Ingress) {
	w.t.Helper()
	made := map[string]bool{}
	for _, backend := range backends(ingress) {
		if !made[backend.Service.Name] {
			made[backend.Service.Name] = true
			w.startBackend(ingress.Name, backend.Service)
		}
	}
	for name := range made {
		w.awaitEndpoints(name, 1)
	}
	if ingress.Spec.IngressClassName == nil {
		ingress.Spec.IngressClassName = ingressClass
	}
	if _, err := client.NetworkingV1().Ingresses(w.namespace).Create(w.t.Context(), ingress, meta.CreateOptions{}); err != nil {
		w.t.Fatalf("Ingress: %v", err)
	}
}

// serveAt is serve, and waits for the address in the Ingress's status.
func (w *world) serveAt(ingress *networking.Ingress) {
	w.t.Helper()
	w.serve(ingress)
	if err := within(*statusWait, func() (err error) {
		w.address, err = w.statusOf(ingress.Name)
		if err == nil && w.address == "" {
			err = fmt.Errorf("no address in its status")
		}
		return err
	}); err != nil {
		w.t.Fatalf("Ingress %s: %v", ingress.Name, err)
	}
}

// statusOf is the first address or name in an Ingress's status, or nothing.
func (w *world) statusOf(name string) (string, error) {
	found, err := client.NetworkingV1().Ingresses(w.namespace).Get(w.t.Context(), name, meta.GetOptions{})
	if err != nil {
		return "", err
	}
	for _, place := range found.Status.LoadBalancer.Ingress {
		if place.IP != "" {
			return place.IP, nil
		}
		if place.Hostname != "" {
			return place.Hostname, nil
		}
	}
	return "", nil
}

// startBackend makes an echo Deployment and its Service, which offers the port by the name or number asked for.
func (w *world) startBackend(ingress string, asked *networking.IngressServiceBackend) {
	w.t.Helper()
	labels := map[string]string{"app": asked.Name}
	one := int32(1)
	field := func(name, path string) core.EnvVar {
		return core.EnvVar{Name: name, ValueFrom: &core.EnvVarSource{FieldRef: &core.ObjectFieldSelector{FieldPath: path}}}
	}
	deployment := &apps.Deployment{
		ObjectMeta: meta.ObjectMeta{Name: asked.Name},
		Spec: apps.DeploymentSpec{
			Replicas: &one,
			Selector: &meta.LabelSelector{MatchLabels: labels},
			Template: core.PodTemplateSpec{
				ObjectMeta: meta.ObjectMeta{Labels: labels},
				Spec: core.PodSpec{Containers: []core.Container{{
					Name:  "echo",
					Image: *echoImage,
					Env: []core.EnvVar{
						field("POD_NAME", "metadata.name"), field("NAMESPACE", "metadata.namespace"),
						{Name: "INGRESS_NAME", Value: ingress}, {Name: "SERVICE_NAME", Value: asked.Name},
					},
					ReadinessProbe: &core.Probe{ProbeHandler: core.ProbeHandler{
						HTTPGet: &core.HTTPGetAction{Path: "/health", Port: intstr.FromInt32(echoPort)},
					}},
				}}},
			},
		},
	}
	if _, err := client.AppsV1().Deployments(w.namespace).Create(w.t.Context(), deployment, meta.CreateOptions{}); err != nil {
		w.t.Fatalf("Deployment %s: %v", asked.Name, err)
	}
	port := core.ServicePort{Name: asked.Port.Name, Port: asked.Port.Number, TargetPort: intstr.FromInt32(echoPort)}
	if port.Port == 0 {
		port.Port = servicePort
	}
	service := &core.Service{
		ObjectMeta: meta.ObjectMeta{Name: asked.Name},
		Spec:       core.ServiceSpec{Selector: labels, Ports: []core.ServicePort{port}},
	}
	if _, err := client.CoreV1().Services(w.namespace).Create(w.t.Context(), service, meta.CreateOptions{}); err != nil {
		w.t.Fatalf("Service %s: %v", asked.Name, err)
	}
}

// scale sets the number of a backend's Pods, and waits until all are ready.
func (w *world) scale(backend string, count int) {
	w.t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, count)
	if _, err := client.AppsV1().Deployments(w.namespace).Patch(w.t.Context(), backend, types.MergePatchType, patch,
		meta.PatchOptions{}, "scale"); err != nil {
		w.t.Fatalf("scaling %s: %v", backend, err)
	}
	w.awaitEndpoints(backend, count)
	time.Sleep(*scaleWait)
}

func (w *world) awaitEndpoints(service string, count int) {
	w.t.Helper()
	if err := within(*readyWait, func() error {
		slices, err := client.DiscoveryV1().EndpointSlices(w.namespace).List(w.t.Context(), meta.ListOptions{
			LabelSelector: discovery.LabelServiceName + "=" + service,
		})
		if err != nil {
			return err
		}
		ready := 0
		for _, slice := range slices.Items {
			for _, endpoint := range slice.Endpoints {
				if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
					ready++
				}
			}
		}
		if ready != count {
			return fmt.Errorf("%d endpoints are ready, not %d", ready, count)
		}
		return nil
	}); err != nil {
		w.t.Fatalf("backend %s: %v", service, err)
	}
}

// within tries until it succeeds or the time is over, and returns the last error.
func within(limit time.Duration, try func() error) error {
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
