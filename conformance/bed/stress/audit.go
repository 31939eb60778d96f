package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// audit is the API server's list of the requests of Narthex.
type audit struct{ path string }

// call is one of them.
type call struct {
	Verb      string
	Stage     string
	SourceIPs []string
	At        time.Time `json:"stageTimestamp"`
	ObjectRef struct{ Resource, Subresource, Name string }
}

// mark is a place in the list: the requests after it are asked for later.
func (a *audit) mark() int64 {
	info, err := os.Stat(a.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// since are the requests after a mark. A watch counts when it begins.
func (a *audit) since(mark int64) ([]call, error) {
	file, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(mark, io.SeekStart); err != nil {
		return nil, err
	}
	var calls []call
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one call
		if json.Unmarshal(lines.Bytes(), &one) != nil {
			continue // The last line may be half written.
		}
		if (one.Stage == "ResponseStarted") == (one.Verb == "watch") {
			calls = append(calls, one)
		}
	}
	return calls, lines.Err()
}

// summary counts calls by what they do; the Lease is left out.
func summary(calls []call) string {
	counts := map[string]int{}
	total, leases := 0, 0
	for _, call := range calls {
		if call.ObjectRef.Resource == "leases" {
			leases++
			continue
		}
		total++
		what := call.Verb
		if call.ObjectRef.Subresource != "" {
			what += " " + call.ObjectRef.Subresource
		}
		counts[what]++
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[what], what))
	}
	return fmt.Sprintf("%d (%s) and %d for the Lease", total, strings.Join(parts, ", "), leases)
}

// busiest is the most calls within one second.
func busiest(calls []call) int {
	perSecond, most := map[int64]int{}, 0
	for _, call := range calls {
		perSecond[call.At.Unix()]++
		most = max(most, perSecond[call.At.Unix()])
	}
	return most
}

// writes are the calls that change a status.
func writes(calls []call) (statuses []call) {
	for _, call := range calls {
		if call.ObjectRef.Subresource == "status" && (call.Verb == "update" || call.Verb == "patch") {
			statuses = append(statuses, call)
		}
	}
	return statuses
}
