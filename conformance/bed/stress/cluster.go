package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// ours is where Narthex is installed.
	ours            = "narthex-system"
	narthexReplicas = 3
	// here is where the objects of this run are.
	here = "stress"
)

var (
	gateways = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	routes   = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	classes  = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"}
	ingress  = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
)

// cluster is the bed, as its API server and its control socket show it.
type cluster struct {
	dir     string
	core    kubernetes.Interface
	dynamic dynamic.Interface
	control http.Client
}

func connect() (*cluster, error) {
	dir := os.Getenv("NARTHEX_BED_DIR")
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "admin.kubeconfig"))
	if err != nil {
		return nil, err
	}
	// No limit of its own: rates are kept by the scenarios.
	config.QPS = -1
	c := &cluster{dir: dir}
	if c.core, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if c.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	c.control.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", c.file("control"))
	}}
	return c, nil
}

func (c *cluster) file(name string) string { return filepath.Join(c.dir, name) }

// act has the bed do something: kill, freeze, thaw or start a part of the control plane or a Pod.
func (c *cluster) act(verb, name string) error {
	answer, err := c.control.Post("http://bed/"+verb+"/"+name, "", nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", verb, name, strings.TrimSpace(string(text)))
	}
	return nil
}

// leader is the Pod that holds the Lease.
func (c *cluster) leader() (string, error) {
	lease, err := c.core.CoordinationV1().Leases(ours).Get(context.Background(), "narthex-leader", meta.GetOptions{})
	if err != nil {
		return "", err
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		return "", fmt.Errorf("nobody leads")
	}
	pod, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
	return pod, nil
}

// holder is who holds the Lease, as a process.
func (c *cluster) holder() string {
	lease, err := c.core.CoordinationV1().Leases(ours).Get(context.Background(), "narthex-leader", meta.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// patch merges fields into an object of ours.
func (c *cluster) patch(resource schema.GroupVersionResource, name string, fields map[string]any) error {
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = c.dynamic.Resource(resource).Namespace(here).Patch(ctx, name, types.MergePatchType, body, meta.PatchOptions{})
	return err
}

// apiReady says whether the API server answers.
func (c *cluster) apiReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := c.core.CoreV1().Namespaces().Get(ctx, here, meta.GetOptions{})
	return err
}

// within tries until it succeeds or the time is over, and returns the last error.
func within(limit time.Duration, try func() error) error {
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
