package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// touch rewrites some routes once a second, until it is told to end. Then every status must be about the newest
// generation, and every replica must serve it.
func (b *bench) touch() (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	version := 0
	var ended sync.WaitGroup
	rewrite := func() error {
		version++
		for number := range touchedRoutes {
			name := fmt.Sprintf("touched-%d", number)
			if err := b.patch(routes, name, map[string]any{"spec": routeSpec(name, number, version)}); err != nil {
				return err
			}
		}
		return nil
	}
	ended.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
				// The API server may be the one that is in trouble.
				_ = rewrite()
			}
		}
	})
	return func() error {
		cancel()
		ended.Wait()
		if err := within(10*time.Second, rewrite); err != nil {
			return fmt.Errorf("a route can't be rewritten: %w", err)
		}
		versions := map[string]int{}
		for number := range touchedRoutes {
			versions[fmt.Sprintf("touched-%d", number)] = version
		}
		if err := within(30*time.Second, func() error { return b.upToDate(versions) }); err != nil {
			return err
		}
		return within(30*time.Second, b.statuses.lagging)
	}
}

// upToDate says which replica does not serve the wanted version of a route.
func (b *bench) upToDate(versions map[string]int) error {
	for _, replica := range b.load.replicas.all() {
		for name, version := range versions {
			answer, problem := replica.ask(routeTarget(name, 0).from(anyBackend), false)
			if problem != nil {
				return fmt.Errorf("%s by %s: %s %s", name, replica.pod, problem.kind, problem.detail)
			}
			if got := answer.header.Get(versionField); got != fmt.Sprint(version) {
				return fmt.Errorf("%s serves version %s of %s instead of %d", replica.pod, got, name, version)
			}
		}
	}
	return nil
}

const anyBackend = "backend"

func (t *target) from(backend string) *target {
	t.backend = backend
	return t
}

// leaderKilled ends the leader's process with SIGKILL.
func leaderKilled(b *bench) ([]string, error) {
	end := b.touch()
	time.Sleep(5 * time.Second)
	pod, err := b.leader()
	if err != nil {
		return nil, err
	}
	replica, err := b.load.replicas.of(pod)
	if err != nil {
		return nil, err
	}
	before, killed := b.holder(), time.Now()
	replica.mu.Lock()
	replica.killed = killed
	replica.mu.Unlock()
	if err := b.act("kill", ours+":"+pod); err != nil {
		return nil, err
	}
	took, err := b.takenOver(before, killed)
	if err != nil {
		return nil, err
	}
	time.Sleep(10 * time.Second)
	err = end()
	return []string{note("leader", "another leads after %.1f s", took.Seconds())}, err
}

// leaderFrozen has the leader stand still for a minute, while another takes its place.
func leaderFrozen(b *bench) ([]string, error) {
	end := b.touch()
	time.Sleep(5 * time.Second)
	pod, err := b.leader()
	if err != nil {
		return nil, err
	}
	before, frozen := b.holder(), time.Now()
	if err := b.act("freeze", ours+":"+pod); err != nil {
		return nil, err
	}
	took, err := b.takenOver(before, frozen)
	// What it knows of routes is wrong from here on, in every way there is.
	if err == nil {
		err = b.replaceRoutes()
	}
	time.Sleep(time.Until(frozen.Add(time.Minute)))
	mark := b.audit.mark()
	if err := b.act("thaw", ours+":"+pod); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	time.Sleep(15 * time.Second)
	calls, err := b.audit.since(mark)
	if err != nil {
		return nil, err
	}
	pending, err := b.load.replicas.of(pod)
	if err != nil {
		return nil, fmt.Errorf("after the thaw: %w", err)
	}
	written := 0
	for _, call := range writes(calls) {
		if len(call.SourceIPs) > 0 && call.SourceIPs[0] == pending.address {
			written++
		}
	}
	err = end()
	if err == nil && written > 0 {
		err = fmt.Errorf("the thawed replica wrote %d statuses, although another leads", written)
	}
	return []string{note("leader", "another leads after %.1f s; the thawed one wrote %d statuses", took.Seconds(), written)}, err
}

// replaceRoutes makes new routes, and makes others anew.
func (b *bench) replaceRoutes() error {
	for number := range 20 {
		name := fmt.Sprintf("made-%d", number)
		_ = b.deleteRoute(name)
		if err := b.createRoute(name, number, 1); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) takenOver(before string, since time.Time) (time.Duration, error) {
	err := within(time.Minute, func() error {
		if now := b.holder(); now == "" || now == before {
			return fmt.Errorf("nobody else leads")
		}
		return nil
	})
	return time.Since(since), err
}

// apiServerKilled has no API server for two minutes.
func apiServerKilled(b *bench) ([]string, error) {
	return b.outage("kube-apiserver", 2*time.Minute)
}

// etcdRestarted has no etcd for some seconds.
func etcdRestarted(b *bench) ([]string, error) {
	return b.outage("etcd", 5*time.Second)
}

// outage kills a part, starts it again, and counts what Narthex asks of the API server then.
func (b *bench) outage(part string, lasts time.Duration) ([]string, error) {
	end := b.touch()
	time.Sleep(5 * time.Second)
	mark := b.audit.mark()
	if err := b.act("kill", part); err != nil {
		return nil, err
	}
	time.Sleep(lasts)
	if err := b.act("start", part); err != nil {
		return nil, err
	}
	back := time.Now()
	if err := within(time.Minute, b.apiReady); err != nil {
		return nil, fmt.Errorf("the API server does not come back: %w", err)
	}
	ready := time.Since(back)
	time.Sleep(40 * time.Second)
	err := end()
	calls, auditErr := b.audit.since(mark)
	if err == nil {
		err = auditErr
	}
	return []string{
		note("outage", "%.0f s; the API server answers %.1f s after the start", lasts.Seconds(), ready.Seconds()),
		note("api calls", "%s; at most %d in one second; by 3 replicas", summary(calls), busiest(calls)),
	}, err
}
