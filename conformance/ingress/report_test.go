package ingress_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// source is where the scenarios come from; README.md says what was taken.
const source = "github.com/kubernetes-sigs/ingress-controller-conformance@f91a7996369a1b76e5e058f78da2285026178b59"

type report struct {
	Date       string     `json:"date"`
	Narthex    string     `json:"narthex"`
	Kubernetes string     `json:"kubernetes"`
	Scenarios  string     `json:"scenarios"`
	Command    string     `json:"command"`
	Installed  string     `json:"installed"`
	Features   []*feature `json:"features"`
}

type feature struct {
	Name     string   `json:"name"`
	Passed   int      `json:"passed"`
	Failed   int      `json:"failed"`
	Failures []string `json:"failures,omitempty"`
}

var (
	outcomes   []*feature
	outcomesMu sync.Mutex
)

// scenario runs one scenario of a feature, and keeps its outcome for the report.
func scenario(t *testing.T, of, name string, check func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		// Registered first, so that it runs after every other clean-up: those can fail too.
		t.Cleanup(func() { keep(of, name, !t.Failed()) })
		check(t)
	})
}

func keep(of, name string, passed bool) {
	outcomesMu.Lock()
	defer outcomesMu.Unlock()
	var found *feature
	for _, known := range outcomes {
		if known.Name == of {
			found = known
		}
	}
	if found == nil {
		found = &feature{Name: of}
		outcomes = append(outcomes, found)
	}
	if passed {
		found.Passed++
		return
	}
	found.Failed++
	found.Failures = append(found.Failures, name)
}

func writeReport(path string) error {
	kubernetes, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("version of the cluster: %w", err)
	}
	text, err := yaml.Marshal(report{
		Date:       time.Now().UTC().Format(time.RFC3339),
		Narthex:    *version,
		Kubernetes: kubernetes.GitVersion,
		Scenarios:  source,
		Command:    "cargo xtask conformance ingress --report",
		Installed:  "conformance/ingress/install",
		Features:   outcomes,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
