// The stress run: requests go through Narthex without a pause while Pods come and go, parts of the control plane fail,
// and everything that is configured changes. No request may fail, and no status that was given may be taken back.
//
// It runs inside a bed in which Narthex is installed by `install/`: `cargo xtask conformance stress` does both.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"time"
)

// scenario is one kind of trouble. It returns what is worth telling beside the requests.
type scenario struct {
	name string
	run  func(*bench) ([]string, error)
}

var scenarios = []scenario{
	{"pods", podsReplaced},
	{"leader-killed", leaderKilled},
	{"leader-frozen", leaderFrozen},
	{"apiserver-killed", apiServerKilled},
	{"etcd-restarted", etcdRestarted},
	{"routes", routesChurned},
	{"certificates", certificatesRotated},
	{"rolling-restart", rollingRestart},
	{"scale", scale},
}

// bench is what scenarios work with.
type bench struct {
	*cluster
	load     *load
	statuses *statuses
	audit    *audit
	// length of a scenario, where it is free.
	length time.Duration
}

func main() {
	only := flag.String("only", "", "the only scenario that runs")
	seconds := flag.Int("seconds", 60, "length of a scenario, where it is free")
	rate := flag.Int("rate", 500, "requests a second")
	flag.Parse()
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	bad, err := run(*only, time.Duration(*seconds)*time.Second, *rate)
	if err != nil {
		log.Fatal(err)
	}
	if bad {
		os.Exit(1)
	}
}

// run returns whether anything happened that must not.
func run(only string, length time.Duration, rate int) (bool, error) {
	cluster, err := connect()
	if err != nil {
		return false, err
	}
	b := &bench{cluster: cluster, audit: &audit{path: cluster.file("audit.log")}, length: length}
	if err := cluster.furnish(); err != nil {
		return false, fmt.Errorf("objects: %w", err)
	}
	replicas, err := watchReplicas(cluster)
	if err != nil {
		return false, err
	}
	b.load = newLoad(replicas, cluster.targets(), rate)
	if err := b.load.served(2 * time.Minute); err != nil {
		return false, fmt.Errorf("not served: %w", err)
	}
	if b.statuses, err = watchStatuses(cluster); err != nil {
		return false, err
	}
	go b.load.run()
	bad, found := false, false
	for _, scenario := range scenarios {
		if only == "" || only == scenario.name {
			found = true
			bad = b.one(scenario) || bad
		}
	}
	if !found {
		return false, fmt.Errorf("there is no scenario %q", only)
	}
	return bad, nil
}

// one runs a scenario and prints what came of it.
func (b *bench) one(scenario scenario) bool {
	log.Printf("%s …", scenario.name)
	b.statuses.begin()
	stats := b.load.begin()
	began := time.Now()
	notes, err := scenario.run(b)
	lasted := time.Since(began)
	b.load.begin()
	stats.pending.Wait()
	withdrawn, stale := b.statuses.end()

	fmt.Printf("\n%s, %.0f s\n", scenario.name, lasted.Seconds())
	fmt.Printf("  requests   %s\n", stats.summary())
	for _, line := range stats.reasons() {
		fmt.Printf("             %s\n", line)
	}
	fmt.Printf("  statuses   %d withdrawn, %d taken back to an older generation\n", len(withdrawn), len(stale))
	for _, line := range shortened(append(withdrawn, stale...)) {
		fmt.Printf("             %s\n", line)
	}
	for _, note := range notes {
		fmt.Printf("  %s\n", note)
	}
	if err != nil {
		fmt.Printf("  FAILED     %v\n", err)
	}
	fmt.Println()
	return err != nil || stats.bad() || len(withdrawn)+len(stale) > 0
}

// shortened is the beginning of a list that may be long.
func shortened(lines []string) []string {
	if len(lines) > 10 {
		return append(lines[:10:10], fmt.Sprintf("… and %d more", len(lines)-10))
	}
	return lines
}

// note is a line of figures under a name.
func note(name, format string, values ...any) string {
	return fmt.Sprintf("%-10s %s", name, strings.TrimSpace(fmt.Sprintf(format, values...)))
}
