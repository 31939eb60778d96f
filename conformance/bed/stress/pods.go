package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

const (
	replacedPerMinute = 1000
	// leastReady Pods of a backend stay, as in a rolling deployment.
	leastReady = 2
	// beforeStop is how many seconds a Pod that is deleted serves on.
	beforeStop = 3
)

// podsReplaced deletes Pods of the backends all the time; their Deployments replace them.
func podsReplaced(b *bench) ([]string, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	factory := informers.NewSharedInformerFactoryWithOptions(b.core, 0, informers.WithNamespace(here))
	pods := factory.Core().V1().Pods().Lister()
	factory.Core().V1().Pods().Informer()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	left, err := watchLeaving(ctx, b)
	if err != nil {
		return nil, err
	}
	doomed := map[string]bool{}
	var deleted, refused atomic.Int64
	turn := 0
	began, tries := time.Now(), 0
	for time.Since(began) < b.length {
		tries++
		time.Sleep(time.Until(began.Add(time.Duration(tries) * time.Minute / replacedPerMinute)))
		victim := ""
		for offset := range backends {
			if victim = choose(pods.Pods(here).List, backendName(turn+offset), doomed); victim != "" {
				turn += offset
				break
			}
		}
		turn++
		if victim == "" {
			continue
		}
		doomed[victim] = true
		left.deleted(victim)
		go func() {
			if err := b.core.CoreV1().Pods(here).Delete(ctx, victim, meta.DeleteOptions{}); err != nil {
				refused.Add(1)
				return
			}
			deleted.Add(1)
		}()
	}
	lasted := time.Since(began)
	err = within(time.Minute, func() error {
		for number := range backends {
			if ready := len(readyPods(pods.Pods(here).List, backendName(number))); ready != backendReplicas {
				return fmt.Errorf("%s has %d Pods that are ready", backendName(number), ready)
			}
		}
		return nil
	})
	perMinute := float64(deleted.Load()) / lasted.Minutes()
	return []string{
		note("pods", "%d replaced, %.0f a minute; %d deletions failed", deleted.Load(), perMinute, refused.Load()),
		left.note(),
	}, err
}

type lister func(labels.Selector) ([]*core.Pod, error)

func readyPods(list lister, app string) (ready []*core.Pod) {
	pods, _ := list(labels.SelectorFromSet(labels.Set{"app": app}))
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == core.PodReady && condition.Status == core.ConditionTrue {
				ready = append(ready, pod)
			}
		}
	}
	return ready
}

// choose is the oldest Pod of a backend that can do without it.
func choose(list lister, app string, doomed map[string]bool) string {
	oldest := ""
	var since time.Time
	ready := 0
	for _, pod := range readyPods(list, app) {
		if doomed[pod.Name] {
			continue
		}
		ready++
		if created := pod.CreationTimestamp.Time; oldest == "" || created.Before(since) {
			oldest, since = pod.Name, created
		}
	}
	if ready <= leastReady {
		return ""
	}
	return oldest
}

// leaving measures how long the cluster takes to take deleted Pods out of their Services. One that takes longer than the
// Pod lives on makes requests fail that no proxy can save.
type leaving struct {
	mu    sync.Mutex
	since map[string]time.Time
	took  []time.Duration
}

func watchLeaving(ctx context.Context, b *bench) (*leaving, error) {
	l := &leaving{since: map[string]time.Time{}}
	factory := informers.NewSharedInformerFactoryWithOptions(b.core, 0, informers.WithNamespace(here))
	_, err := factory.Discovery().V1().EndpointSlices().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) {
			l.compare(before.(*discovery.EndpointSlice), after.(*discovery.EndpointSlice))
		},
	})
	if err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return l, nil
}

func (l *leaving) deleted(pod string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since[pod] = time.Now()
}

func (l *leaving) compare(before, after *discovery.EndpointSlice) {
	ready := readyIn(after)
	l.mu.Lock()
	defer l.mu.Unlock()
	for pod := range readyIn(before) {
		if since, deleted := l.since[pod]; deleted && !ready[pod] {
			l.took = append(l.took, time.Since(since))
			delete(l.since, pod)
		}
	}
}

func readyIn(slice *discovery.EndpointSlice) map[string]bool {
	ready := map[string]bool{}
	for _, endpoint := range slice.Endpoints {
		if endpoint.TargetRef != nil && endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready {
			ready[endpoint.TargetRef.Name] = true
		}
	}
	return ready
}

func (l *leaving) note() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.took)
	if len(l.took) == 0 {
		return note("endpoints", "none left")
	}
	late := 0
	for _, took := range l.took {
		if took > beforeStop*time.Second {
			late++
		}
	}
	at := func(share float64) float64 { return l.took[int(share*float64(len(l.took)-1))].Seconds() }
	return note("endpoints", "taken out by the cluster after %.2f s (half), %.2f s (99 %%), %.2f s (all); %d later than the Pod's end",
		at(0.5), at(0.99), at(1), late)
}
