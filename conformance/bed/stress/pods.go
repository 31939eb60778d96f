package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
)

const (
	replacedPerMinute = 1000
	// leastReady Pods of a backend stay, as in a rolling deployment.
	leastReady = 2
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

	doomed := map[string]bool{}
	var deleted, refused atomic.Int64
	left := 0
	began := time.Now()
	for range time.Tick(time.Minute / replacedPerMinute) {
		if time.Since(began) > b.length {
			break
		}
		victim := ""
		for offset := range backends {
			if victim = choose(pods.Pods(here).List, backendName(left+offset), doomed); victim != "" {
				left += offset
				break
			}
		}
		left++
		if victim == "" {
			continue
		}
		doomed[victim] = true
		go func() {
			if err := b.core.CoreV1().Pods(here).Delete(ctx, victim, meta.DeleteOptions{}); err != nil {
				refused.Add(1)
				return
			}
			deleted.Add(1)
		}()
	}
	lasted := time.Since(began)
	err := within(time.Minute, func() error {
		for number := range backends {
			if ready := len(readyPods(pods.Pods(here).List, backendName(number))); ready != backendReplicas {
				return fmt.Errorf("%s has %d Pods that are ready", backendName(number), ready)
			}
		}
		return nil
	})
	perMinute := float64(deleted.Load()) / lasted.Minutes()
	return []string{note("pods", "%d replaced, %.0f a minute; %d deletions failed", deleted.Load(), perMinute, refused.Load())}, err
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
