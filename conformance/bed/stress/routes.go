package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	churnedRoutes    = 300
	changesPerSecond = 200
	// writers keep a change that takes long from holding up the others.
	writers = 50
)

func (c *cluster) deleteRoute(name string) error {
	return c.dynamic.Resource(routes).Namespace(here).Delete(context.Background(), name, meta.DeleteOptions{})
}

// routesChurned rewrites, reorders, deletes and makes routes beside those that are loaded.
func routesChurned(b *bench) ([]string, error) {
	for number := range churnedRoutes {
		if err := b.createRoute(churned(number), number, 0); err != nil {
			return nil, err
		}
	}
	mark := b.audit.mark()
	versions := make([]int, churnedRoutes) // -1: deleted
	var rewritten, deleted, made, failed atomic.Int64
	// Each writer has routes of its own, so that changes of one follow each other.
	var all sync.WaitGroup
	began := time.Now()
	for writer := range writers {
		all.Go(func() {
			for range time.Tick(time.Second * writers / changesPerSecond) {
				if time.Since(began) > b.length {
					return
				}
				number := rand.IntN(churnedRoutes/writers)*writers + writer
				name, next := churned(number), versions[number]+1
				count, change := &rewritten, func() error {
					return b.patch(routes, name, map[string]any{"spec": routeSpec(name, number, next)})
				}
				if versions[number] < 0 {
					count, next = &made, int(time.Since(began).Milliseconds())
					change = func() error { return b.createRoute(name, number, next) }
				} else if rand.IntN(10) == 0 {
					count, next = &deleted, -1
					change = func() error { return b.deleteRoute(name) }
				}
				if change() != nil {
					failed.Add(1)
					continue
				}
				versions[number] = next
				count.Add(1)
			}
		})
	}
	all.Wait()
	lasted := time.Since(began)
	wanted := map[string]int{}
	for number, version := range versions {
		if version >= 0 {
			wanted[churned(number)] = version
		}
	}
	quiet := time.Now()
	err := within(time.Minute, func() error { return b.upToDate(wanted) })
	served := time.Since(quiet)
	if err == nil {
		err = within(time.Minute, b.statuses.lagging)
	}
	told := time.Since(quiet)
	calls, auditErr := b.audit.since(mark)
	if err == nil {
		err = auditErr
	}
	changes := rewritten.Load() + deleted.Load() + made.Load()
	notes := []string{
		note("routes", "%.0f changes a second: %d rewritten, %d deleted, %d made; %d changes failed",
			float64(changes)/lasted.Seconds(), rewritten.Load(), deleted.Load(), made.Load(), failed.Load()),
		note("", "the last change is served by all replicas after %.1f s, all statuses are written after %.1f s",
			served.Seconds(), told.Seconds()),
		note("api calls", "%s; at most %d in one second", summary(calls), busiest(calls)),
	}
	for number := range churnedRoutes {
		if versions[number] >= 0 {
			_ = b.deleteRoute(churned(number))
		}
	}
	return notes, err
}

func churned(number int) string { return fmt.Sprintf("churned-%d", number) }
