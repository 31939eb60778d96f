package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Failures that are the kill's and nobody else's. They are told, and not counted as failed.
const (
	cutByTheKill  = "cut by the kill"
	sentToTheDead = "sent to the killed one before the cluster saw that it is gone"
)

// freshShare: one request of so many is sent on a new connection. Not a divisor of the number of targets.
const freshShare = 5

// load sends requests at an even rate, each to the ready replica whose turn it is, however long others take.
type load struct {
	replicas *replicas
	rate     int
	mu       sync.Mutex
	targets  []*target
	stats    *stats
	turn     atomic.Uint64
}

// stats are of the requests that began within one scenario.
type stats struct {
	pending sync.WaitGroup

	mu            sync.Mutex
	sent, resent  int
	slow          int
	slowest       time.Duration
	slowestReason string
	failed, fated map[string]int
	samples       map[string]string
}

func newLoad(replicas *replicas, targets []*target, rate int) *load {
	l := &load{replicas: replicas, rate: rate, targets: targets}
	l.begin()
	return l
}

// begin starts new statistics and returns them; requests that are under way count in the old ones.
func (l *load) begin() *stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats = &stats{failed: map[string]int{}, fated: map[string]int{}, samples: map[string]string{}}
	return l.stats
}

// also has something else asked for, too.
func (l *load) also(targets ...*target) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.targets
	l.targets = append(slices.Clone(before), targets...)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.targets = before
	}
}

// run sends until the program ends.
func (l *load) run() {
	began, sent := time.Now(), 0
	for range time.Tick(2 * time.Millisecond) {
		due := int(time.Since(began).Seconds() * float64(l.rate))
		// What we were too slow for is left out, not sent in a burst.
		if due-sent > l.rate/10 {
			sent = due - l.rate/10
		}
		for ; sent < due; sent++ {
			l.mu.Lock()
			stats, turn := l.stats, l.turn.Add(1)
			target := l.targets[turn%uint64(len(l.targets))]
			stats.pending.Add(1)
			l.mu.Unlock()
			go func() {
				defer stats.pending.Done()
				l.send(stats, target, turn%freshShare == 0)
			}()
		}
	}
}

func (l *load) send(stats *stats, t *target, fresh bool) {
	began := time.Now()
	replica := l.replicas.next()
	if replica == nil {
		stats.add(time.Since(began), t, "", &trouble{kind: "no replica is ready"}, "")
		return
	}
	_, problem := replica.ask(t, fresh)
	fate := ""
	if problem != nil {
		fate = replica.fate(began)
	}
	if problem != nil && problem.unheard && fate == "" {
		stats.again()
		if other := l.replicas.next(); other != nil {
			_, problem = other.ask(t, true)
			replica = other
		}
	}
	stats.add(time.Since(began), t, replica.pod, problem, fate)
}

// served waits until every target is served by every replica.
func (l *load) served(limit time.Duration) error {
	return within(limit, func() error {
		ready := l.replicas.all()
		if len(ready) < narthexReplicas {
			return fmt.Errorf("%d replicas are ready", len(ready))
		}
		for _, replica := range ready {
			for _, target := range l.targets {
				if _, problem := replica.ask(target, true); problem != nil {
					return fmt.Errorf("%s by %s: %s %s", target.name, replica.pod, problem.kind, problem.detail)
				}
			}
		}
		return nil
	})
}

func (s *stats) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resent++
}

func (s *stats) add(took time.Duration, t *target, pod string, problem *trouble, fate string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	if took > time.Second {
		s.slow++
	}
	if took > s.slowest {
		s.slowest, s.slowestReason = took, fmt.Sprintf("%s by %s", t.name, pod)
	}
	switch {
	case problem == nil:
	case fate != "":
		s.fated[fate]++
	default:
		s.failed[problem.kind]++
		if s.samples[problem.kind] == "" {
			s.samples[problem.kind] = fmt.Sprintf("the first at %s: %s by %s after %s: %s", time.Now().Format("15:04:05.000"),
				t.name, pod, took.Round(time.Millisecond), problem.detail)
		}
	}
}

func (s *stats) bad() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.failed) > 0 || s.sent == 0
}

func (s *stats) summary() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	failed := 0
	for _, count := range s.failed {
		failed += count
	}
	text := fmt.Sprintf("%d sent, %d failed; slowest %s (%s)", s.sent, failed, s.slowest.Round(time.Millisecond), s.slowestReason)
	if s.slow > 0 {
		text += fmt.Sprintf("; %d took longer than 1 s", s.slow)
	}
	if s.resent > 0 {
		text += fmt.Sprintf("; %d sent again, as their idle connection had just been closed", s.resent)
	}
	return text
}

// reasons are a line for each kind of failure.
func (s *stats) reasons() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, kind := range slices.Sorted(maps.Keys(s.failed)) {
		lines = append(lines, fmt.Sprintf("%d × %s; %s", s.failed[kind], kind, s.samples[kind]))
	}
	for _, kind := range slices.Sorted(maps.Keys(s.fated)) {
		lines = append(lines, fmt.Sprintf("not counted as failed: %d %s", s.fated[kind], kind))
	}
	return lines
}
