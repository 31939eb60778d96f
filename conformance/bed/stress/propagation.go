package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
)

const (
	standingRoutes = 3000
	measured       = 200
	moving         = "moving"
)

var slicesOfEndpoints = schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}

// propagation measures how long a change of one route, and of one Service's endpoints, takes to be served while there are
// thousands of other routes: from the API server's answer to the change to the first response that shows it, on one
// connection to one replica that is asked without a pause.
func propagation(b *bench) ([]string, error) {
	name := func(number int) string { return fmt.Sprintf("standing-%d", number) }
	if err := b.parallel(standingRoutes, func(number int) error { return b.createRoute(name(number), number, 0) }); err != nil {
		return nil, err
	}
	defer func() {
		_ = b.parallel(standingRoutes, func(number int) error { return b.deleteRoute(name(number)) })
		_ = b.deleteRoute(moving)
	}()
	if err := within(5*time.Minute, b.statuses.lagging); err != nil {
		return nil, err
	}
	if err := b.movingRoute(); err != nil {
		return nil, err
	}
	ask := asking("http://"+b.load.replicas.all()[0].address+"/", moving+".example")
	if err := within(30*time.Second, func() error { return shows(ask, "0 200") }); err != nil {
		return nil, err
	}
	route, err := times(func(turn int) (string, error) {
		spec := routeSpec(moving, 0, turn)
		for _, rule := range spec["rules"].([]any) {
			rule.(map[string]any)["backendRefs"] = []any{map[string]any{"name": moving, "port": 8080}}
		}
		return fmt.Sprintf("%d 200", turn), b.patch(routes, moving, map[string]any{"spec": spec})
	}, ask)
	if err != nil {
		return nil, err
	}
	endpoints, err := times(func(turn int) (string, error) {
		ready := turn%2 == 0
		endpoint := map[string]any{"addresses": []string{b.somePod()}, "conditions": map[string]bool{"ready": ready}}
		wanted := map[bool]string{true: "200", false: "503"}[ready]
		return fmt.Sprintf("%d %s", measured, wanted), b.patch(slicesOfEndpoints, moving, map[string]any{"endpoints": []any{endpoint}})
	}, ask)
	return []string{
		note("route", "%s, of %d changes among %d routes; 10 ms of each are waited for further changes", route, measured, standingRoutes),
		note("endpoints", "%s, likewise", endpoints),
	}, err
}

// movingRoute makes a route with a Service whose one endpoint is a Pod of another.
func (b *bench) movingRoute() error {
	ctx := context.Background()
	service := &core.Service{
		ObjectMeta: meta.ObjectMeta{Name: moving},
		Spec:       core.ServiceSpec{ClusterIP: core.ClusterIPNone, Ports: []core.ServicePort{{Port: 8080}}},
	}
	if _, err := b.core.CoreV1().Services(here).Create(ctx, service, meta.CreateOptions{}); err != nil {
		return err
	}
	slice := &discovery.EndpointSlice{
		ObjectMeta:  meta.ObjectMeta{Name: moving, Labels: map[string]string{discovery.LabelServiceName: moving}},
		AddressType: discovery.AddressTypeIPv4,
		Endpoints:   []discovery.Endpoint{{Addresses: []string{b.somePod()}}},
		Ports:       []discovery.EndpointPort{{Name: ptr.To(""), Port: ptr.To(int32(3000))}},
	}
	if _, err := b.core.DiscoveryV1().EndpointSlices(here).Create(ctx, slice, meta.CreateOptions{}); err != nil {
		return err
	}
	spec := routeSpec(moving, 0, 0)
	for _, rule := range spec["rules"].([]any) {
		rule.(map[string]any)["backendRefs"] = []any{map[string]any{"name": moving, "port": 8080}}
	}
	_, err := b.dynamic.Resource(routes).Namespace(here).Create(ctx, object("HTTPRoute", moving, spec), meta.CreateOptions{})
	return err
}

// somePod is the address of a backend that nothing replaces meanwhile.
func (b *bench) somePod() string {
	pods, err := b.core.CoreV1().Pods(here).List(context.Background(), meta.ListOptions{LabelSelector: "app=" + backendName(0)})
	if err != nil || len(pods.Items) == 0 {
		return "198.18.0.1"
	}
	return pods.Items[0].Status.PodIP
}

// asking returns what one request after the other says: version and status. An answer of Narthex's own has the version
// that was seen last.
func asking(url, host string) func() string {
	client := http.Client{Timeout: 10 * time.Second}
	last := "none"
	return func() string {
		request, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return err.Error()
		}
		request.Host = host
		answer, err := client.Do(request)
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
		if version := answer.Header.Get(versionField); version != "" {
			last = version
		}
		return fmt.Sprintf("%s %d", last, answer.StatusCode)
	}
}

func shows(ask func() string, wanted string) error {
	if got := ask(); got != wanted {
		return fmt.Errorf("%q instead of %q", got, wanted)
	}
	return nil
}

// times changes something again and again and returns how long it took until that was served.
func times(change func(int) (string, error), ask func() string) (string, error) {
	var took []time.Duration
	for turn := 1; turn <= measured; turn++ {
		wanted, err := change(turn)
		began := time.Now()
		if err != nil {
			return "", err
		}
		for shows(ask, wanted) != nil {
			if time.Since(began) > 10*time.Second {
				return "", fmt.Errorf("after change %d: %w", turn, shows(ask, wanted))
			}
		}
		took = append(took, time.Since(began))
		time.Sleep(30 * time.Millisecond)
	}
	slices.Sort(took)
	at := func(part int) float64 { return float64(took[len(took)*part/100].Microseconds()) / 1000 }
	return fmt.Sprintf("served after %.1f ms (p50), %.1f ms (p99)", at(50), at(99)), nil
}
