package main

import (
	"context"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"

	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// replicas are those that the cluster calls ready: what a load balancer knows of Narthex.
type replicas struct {
	mu    sync.Mutex
	ready []*replica
	turn  int
	// late is how much later than the cluster a load balancer hears that a replica is leaving.
	late time.Duration
}

// replica is one Pod of Narthex from when it becomes ready to when it isn't any more.
type replica struct {
	address, pod string
	// leaving is what the cluster says already; guarded by the lock of all replicas.
	leaving bool

	mu   sync.Mutex
	idle []*connection
	// killed is when we killed it, removed when it was no longer ready.
	killed, removed time.Time
}

// longestIdle is shorter than servers keep connections, as it should be in a load balancer.
const longestIdle = 20 * time.Second

// watchReplicas follows the EndpointSlices of the Service.
func watchReplicas(c *cluster) (*replicas, error) {
	r := &replicas{}
	factory := informers.NewSharedInformerFactoryWithOptions(c.core, 0, informers.WithNamespace(ours),
		informers.WithTweakListOptions(func(options *meta.ListOptions) {
			options.LabelSelector = discovery.LabelServiceName + "=narthex"
		}))
	slices := factory.Discovery().V1().EndpointSlices()
	look := func() {
		var endpoints []discovery.Endpoint
		for _, object := range slices.Informer().GetStore().List() {
			endpoints = append(endpoints, object.(*discovery.EndpointSlice).Endpoints...)
		}
		r.take(endpoints)
	}
	_, err := slices.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { look() },
		UpdateFunc: func(any, any) { look() },
		DeleteFunc: func(any) { look() },
	})
	if err != nil {
		return nil, err
	}
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	return r, nil
}

func (r *replicas) take(endpoints []discovery.Endpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var now []*replica
	for _, endpoint := range endpoints {
		if endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready || len(endpoint.Addresses) == 0 {
			continue
		}
		pod := ""
		if endpoint.TargetRef != nil {
			pod = endpoint.TargetRef.Name
		}
		known := slices.IndexFunc(r.ready, func(known *replica) bool {
			return known.pod == pod && known.address == endpoint.Addresses[0]
		})
		if known >= 0 {
			now = append(now, r.ready[known])
			continue
		}
		log.Printf("replica %s (%s) is ready", pod, endpoint.Addresses[0])
		now = append(now, &replica{pod: pod, address: endpoint.Addresses[0]})
	}
	for _, before := range r.ready {
		if slices.Contains(now, before) {
			before.leaving = false
			continue
		}
		if r.late == 0 {
			before.leave()
			continue
		}
		now = append(now, before)
		if !before.leaving {
			before.leaving = true
			time.AfterFunc(r.late, func() { r.heard(before) })
		}
	}
	r.ready = now
}

// heard takes a replica out after all.
func (r *replicas) heard(gone *replica) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if index := slices.Index(r.ready, gone); index >= 0 && gone.leaving {
		r.ready = slices.Delete(slices.Clone(r.ready), index, index+1)
		gone.leave()
	}
}

// hearLate has news about replicas that leave come late from now on.
func (r *replicas) hearLate(late time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late = late
}

// next is the one whose turn it is, if there is any.
func (r *replicas) next() *replica {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ready) == 0 {
		return nil
	}
	r.turn++
	return r.ready[r.turn%len(r.ready)]
}

func (r *replicas) all() []*replica {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ready)
}

func (r *replicas) of(pod string) (*replica, error) {
	for _, replica := range r.all() {
		if replica.pod == pod {
			return replica, nil
		}
	}
	return nil, fmt.Errorf("no replica %s is ready", pod)
}

// leave closes what is idle; what is under way goes on.
func (r *replica) leave() {
	log.Printf("replica %s (%s) is not ready any more", r.pod, r.address)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removed = time.Now()
	for _, connection := range r.idle {
		connection.Close()
	}
	r.idle = nil
}

// take gives a connection, the one that was used last if there is one.
func (r *replica) take(t *target, fresh bool) (*connection, *trouble) {
	r.mu.Lock()
	var taken *connection
	if last := len(r.idle) - 1; last >= 0 && t.tls == nil && !fresh {
		taken, r.idle = r.idle[last], r.idle[:last]
		if time.Since(taken.used) > longestIdle {
			for _, old := range append(r.idle, taken) {
				old.Close()
			}
			taken, r.idle = nil, nil
		}
	}
	r.mu.Unlock()
	if taken != nil {
		taken.reused = true
		return taken, nil
	}
	return dial(r.address, t)
}

// ask sends a request on a connection of the replica, and keeps it for the next; or on a fresh one for it alone.
func (r *replica) ask(t *target, fresh bool) (*answer, *trouble) {
	connection, trouble := r.take(t, fresh)
	if trouble != nil {
		return nil, trouble
	}
	answer, trouble := connection.ask(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	if trouble != nil || !answer.again || t.tls != nil || fresh || !r.removed.IsZero() {
		connection.Close()
	} else {
		r.idle = append(r.idle, connection)
	}
	return answer, trouble
}

// fate says whether a request that began then could not but fail, and why.
func (r *replica) fate(began time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.killed.IsZero():
		return ""
	case began.Before(r.killed):
		return cutByTheKill
	// The cluster needs a moment to see that it is gone.
	case r.removed.IsZero() || !began.After(r.removed):
		return sentToTheDead
	}
	return ""
}
