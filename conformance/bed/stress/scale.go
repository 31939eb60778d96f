package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const manyRoutes = 5000

var watchedResources = []schema.GroupVersionResource{gateways, routes, classes, ingress}

// scale has thousands of routes in the API server, and looks at what a replica needs for them.
func scale(b *bench) ([]string, error) {
	mark, began := b.audit.mark(), time.Now()
	if err := b.parallel(manyRoutes, func(number int) error {
		return b.createRoute(fmt.Sprintf("many-%d", number), number, 0)
	}); err != nil {
		return nil, err
	}
	made := time.Since(began)
	if err := within(5*time.Minute, b.statuses.lagging); err != nil {
		return nil, err
	}
	told := time.Since(began)
	calls, err := b.audit.since(mark)
	if err != nil {
		return nil, err
	}
	notes := []string{
		note("routes", "%d made in %.1f s; all have a status after %.1f s", manyRoutes, made.Seconds(), told.Seconds()),
		note("api calls", "%s; by 3 replicas", summary(calls)),
	}
	fresh, err := b.freshReplica()
	notes = append(notes, fresh...)
	if err != nil {
		return notes, err
	}

	time.Sleep(5 * time.Second)
	before, err := b.versions()
	if err != nil {
		return notes, err
	}
	mark = b.audit.mark()
	took, err := b.restart()
	if err != nil {
		return notes, err
	}
	// Whoever leads last has the time to write.
	time.Sleep(20 * time.Second)
	after, err := b.versions()
	if err != nil {
		return notes, err
	}
	calls, err = b.audit.since(mark)
	if err != nil {
		return notes, err
	}
	changed := 0
	for object, version := range before {
		if after[object] != version {
			changed++
		}
	}
	notes = append(notes, note("restart", "all replicas in %.1f s; %d of %d objects were written to", took.Seconds(), changed, len(before)),
		note("api calls", "%s; by 3 replicas", summary(calls)))
	if changed > 0 || len(writes(calls)) > 0 {
		return notes, fmt.Errorf("a restart wrote %d statuses: %d objects are different", len(writes(calls)), changed)
	}
	return notes, b.parallel(manyRoutes, func(number int) error { return b.deleteRoute(fmt.Sprintf("many-%d", number)) })
}

// freshReplica replaces one replica that does not lead, and measures the new one.
func (b *bench) freshReplica() ([]string, error) {
	ctx := context.Background()
	leader, err := b.leader()
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	victim := ""
	for _, replica := range b.load.replicas.all() {
		known[replica.pod] = true
		if replica.pod != leader {
			victim = replica.pod
		}
	}
	mark := b.audit.mark()
	if err := b.core.CoreV1().Pods(ours).Delete(ctx, victim, meta.DeleteOptions{}); err != nil {
		return nil, err
	}
	var fresh *replica
	err = within(2*time.Minute, func() error {
		for _, replica := range b.load.replicas.all() {
			if !known[replica.pod] {
				fresh = replica
				return nil
			}
		}
		return fmt.Errorf("no new replica is ready")
	})
	if err != nil {
		return nil, err
	}
	pod, err := b.core.CoreV1().Pods(ours).Get(ctx, fresh.pod, meta.GetOptions{})
	if err != nil {
		return nil, err
	}
	ready := time.Duration(0)
	for _, condition := range pod.Status.Conditions {
		if condition.Type == core.PodReady {
			ready = condition.LastTransitionTime.Sub(pod.CreationTimestamp.Time)
		}
	}
	all, err := b.audit.since(mark)
	if err != nil {
		return nil, err
	}
	var calls []call
	for _, call := range all {
		if len(call.SourceIPs) > 0 && call.SourceIPs[0] == fresh.address {
			calls = append(calls, call)
		}
	}
	time.Sleep(5 * time.Second)
	memory, err := resident(fresh.address)
	return []string{
		note("replica", "a fresh one is ready %.0f s after its Pod was made; its memory after 5 s: %.0f MiB", ready.Seconds(), memory/(1<<20)),
		note("api calls", "%s; until it was ready", summary(calls)),
	}, err
}

// resident is the memory of a replica.
func resident(address string) (float64, error) {
	answer, err := http.Get("http://" + address + ":10254/metrics")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	var bytes float64
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "process_resident_memory_bytes "); found {
			_, err = fmt.Sscan(value, &bytes)
		}
	}
	return bytes, err
}

// versions are the resource versions of everything whose status is written.
func (b *bench) versions() (map[string]string, error) {
	versions := map[string]string{}
	for _, resource := range watchedResources {
		list, err := b.dynamic.Resource(resource).List(context.Background(), meta.ListOptions{})
		if err != nil {
			return nil, err
		}
		for _, object := range list.Items {
			versions[string(object.GetUID())] = object.GetResourceVersion()
		}
	}
	return versions, nil
}

// parallel does something for each number, some at a time.
func (b *bench) parallel(count int, do func(int) error) error {
	var all sync.WaitGroup
	numbers, failed := make(chan int), make(chan error, count)
	for range writers {
		all.Go(func() {
			for number := range numbers {
				if err := do(number); err != nil {
					failed <- err
				}
			}
		})
	}
	for number := range count {
		numbers <- number
	}
	close(numbers)
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
