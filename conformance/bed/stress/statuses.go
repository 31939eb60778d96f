package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
)

// statuses watches what Narthex says about objects, and remembers what it took back. Every object that the scenarios make
// is right at any time, so there is no reason to.
type statuses struct {
	mu               sync.Mutex
	withdrawn, stale []string
	stores           []cache.Store
}

// fact is something that a status says.
type fact struct {
	// True for a condition in its good state, or something that is there.
	good       bool
	generation int64
}

func watchStatuses(c *cluster) (*statuses, error) {
	s := &statuses{}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(c.dynamic, 0)
	for _, resource := range watchedResources {
		informer := factory.ForResource(resource).Informer()
		s.stores = append(s.stores, informer.GetStore())
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			UpdateFunc: func(before, after any) {
				s.compare(before.(*unstructured.Unstructured), after.(*unstructured.Unstructured))
			},
		})
		if err != nil {
			return nil, err
		}
	}
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	return s, nil
}

func (s *statuses) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withdrawn, s.stale = nil, nil
}

func (s *statuses) end() (withdrawn, stale []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.withdrawn, s.stale
}

func (s *statuses) compare(before, after *unstructured.Unstructured) {
	if before.GetUID() != after.GetUID() {
		return
	}
	said, says := facts(before), facts(after)
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, old := range said {
		now, there := says[name]
		where := fmt.Sprintf("%s %s %s/%s: %s", time.Now().Format("15:04:05.000"), after.GetKind(), after.GetNamespace(), after.GetName(), name)
		switch {
		case old.good && !there:
			s.withdrawn = append(s.withdrawn, where+" is gone")
		case old.good && !now.good:
			s.withdrawn = append(s.withdrawn, where+" is not True any more")
		case there && now.generation < old.generation:
			s.stale = append(s.stale, fmt.Sprintf("%s was of generation %d and is of %d", where, old.generation, now.generation))
		}
	}
}

// facts are conditions, addresses and parents of a status, by what they are called.
func facts(object *unstructured.Unstructured) map[string]fact {
	found := map[string]fact{}
	conditions := func(of string, entry map[string]any) {
		list, _, _ := unstructured.NestedSlice(entry, "conditions")
		for _, item := range list {
			condition := item.(map[string]any)
			kind, _ := condition["type"].(string)
			if kind != "Accepted" && kind != "Programmed" && kind != "ResolvedRefs" {
				continue
			}
			generation, _ := condition["observedGeneration"].(int64)
			found[of+kind] = fact{good: condition["status"] == "True", generation: generation}
		}
	}
	status, _, _ := unstructured.NestedMap(object.Object, "status")
	conditions("", status)
	for _, list := range []struct{ field, name string }{{"listeners", "listener"}, {"parents", "parent"}} {
		entries, _, _ := unstructured.NestedSlice(status, list.field)
		for _, item := range entries {
			entry := item.(map[string]any)
			name := fmt.Sprintf("%s %s", list.name, text(entry["name"], entry["parentRef"]))
			found[name] = fact{good: true}
			conditions(name+" ", entry)
		}
	}
	addresses, _, _ := unstructured.NestedSlice(status, "addresses")
	balancers, _, _ := unstructured.NestedSlice(status, "loadBalancer", "ingress")
	for _, address := range append(addresses, balancers...) {
		found["address "+text(address, nil)] = fact{good: true}
	}
	return found
}

func text(value, other any) string {
	if name, is := value.(string); is {
		return name
	}
	if value == nil {
		value = other
	}
	encoded, _ := json.Marshal(value)
	return string(encoded)
}

// lagging is an object whose status is not about its newest generation, if there is one.
func (s *statuses) lagging() error {
	count, example := 0, ""
	for _, store := range s.stores {
		for _, item := range store.List() {
			object := item.(*unstructured.Unstructured)
			conditions := 0
			lags := false
			for _, fact := range facts(object) {
				if fact.generation > 0 {
					conditions++
					lags = lags || fact.generation != object.GetGeneration()
				}
			}
			if lags || conditions == 0 && object.GetKind() != "Ingress" {
				count++
				example = object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
			}
		}
	}
	if count > 0 {
		return fmt.Errorf("%d objects have no status about their newest generation, such as %s", count, example)
	}
	return nil
}
