// The bed: a Kubernetes cluster without containers, in namespaces of its own.
//
// `cargo xtask bed` starts it as the first process of a new network, pid and mount namespace; when it ends, whatever
// the reason, the kernel ends everything in there. It runs etcd, the API server and the controllers as children, the
// Pods as processes in network namespaces of theirs, and a load balancer.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"narthex.dev/conformance/bed/balancer"
	"narthex.dev/conformance/bed/runner"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == runner.ChildCommand {
		runner.BecomePod()
	}
	options := options{images: map[string]string{}}
	flag.StringVar(&options.dir, "dir", "", "folder of this bed: keys, kubeconfigs, logs, the control socket")
	flag.StringVar(&options.bin, "bin", "", "folder with etcd, kube-apiserver and kube-controller-manager")
	flag.IntVar(&options.nodes, "nodes", 1, "how many Nodes")
	flag.Func("image", "IMAGE=PROGRAM: what to run for an image, whatever its tag (repeatable)", func(word string) error {
		image, program, found := strings.Cut(word, "=")
		if !found {
			return fmt.Errorf("%q has no '='", word)
		}
		options.images[image] = program
		return nil
	})
	flag.Parse()
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	if os.Getpid() != 1 {
		log.Fatal("the bed must be the first process of namespaces of its own: start it with `cargo xtask bed up`")
	}
	if err := options.run(); err != nil {
		log.Fatal(err)
	}
}

type options struct {
	dir, bin string
	nodes    int
	images   map[string]string
}

// run returns when the bed is told to end, or when it cannot come up.
func (o *options) run() error {
	if err := layNetwork(); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	keys, err := makeKeys(filepath.Join(o.dir, "pki"))
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if err := keys.writeKubeconfigs(o.dir); err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	parts := newParts(o.dir, o.bin)
	if err := parts.startAll(); err != nil {
		return err
	}
	pods, err := runner.Start(runner.Options{
		Kubeconfig: filepath.Join(o.dir, "admin.kubeconfig"),
		Dir:        filepath.Join(o.dir, "pods"),
		Nodes:      o.nodes,
		Images:     o.images,
		Host:       hostAddress,
		APIPort:    apiPort,
	})
	if err != nil {
		return fmt.Errorf("pods: %w", err)
	}
	if err := balancer.Start(filepath.Join(o.dir, "admin.kubeconfig"), balancerRange); err != nil {
		return fmt.Errorf("load balancer: %w", err)
	}
	if err := serveControl(filepath.Join(o.dir, "control"), parts, pods); err != nil {
		return err
	}
	log.Print("the bed is up")
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	<-ended
	return nil
}

// writeJSON writes a file that is there in full or not at all.
func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// within tries until it succeeds or the time is over, and returns the last error.
func within(limit time.Duration, try func() error) error {
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
