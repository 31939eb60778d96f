// Package runner does a kubelet's work without containers: it binds Pods to its Nodes, gives each a network namespace
// and an address, lays out its volumes, runs its program, and reports its status.
package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"sort"
	"strings"
	"sync"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// Bridge is the link that all Pods hang on.
const Bridge = "bed0"

// BridgeHardware is its address. Fixed: else the bridge takes that of the first Pod, and changes it when the Pod goes.
var BridgeHardware = net.HardwareAddr{0x02, 0, 198, 18, 0, 1}

// Options say where the runner finds what.
type Options struct {
	Kubeconfig string
	// Dir holds a folder per Pod: its root, its log.
	Dir   string
	Nodes int
	// Images maps an image, without its tag, to a program.
	Images map[string]string
	// Host is the address of the bridge: the Pods' gateway, and every Node's address.
	Host    string
	APIPort int
}

// Runner holds the Pods that run.
type Runner struct {
	Options
	client kubernetes.Interface
	mu     sync.Mutex
	pods   map[types.UID]*pod
	// next counts addresses and turns of the Nodes.
	next int
}

// Start makes the Nodes and follows the Pods until the process ends.
func Start(options Options) (*Runner, error) {
	config, err := clientcmd.BuildConfigFromFlags("", options.Kubeconfig)
	if err != nil {
		return nil, err
	}
	// The default of 5 requests a second makes everything slow.
	config.QPS, config.Burst = 500, 1000
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	r := &Runner{Options: options, client: client, pods: map[types.UID]*pod{}}
	if err := os.MkdirAll(options.Dir, 0o755); err != nil {
		return nil, err
	}
	port, err := r.serveLogs()
	if err != nil {
		return nil, err
	}
	for i := range options.Nodes {
		if err := r.makeNode(nodeName(i), port); err != nil {
			return nil, err
		}
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	_, err = factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { r.seen(object.(*core.Pod)) },
		UpdateFunc: func(_, object any) { r.seen(object.(*core.Pod)) },
		DeleteFunc: func(object any) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			r.gone(object.(*core.Pod))
		},
	})
	if err != nil {
		return nil, err
	}
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	return r, nil
}

func nodeName(number int) string { return fmt.Sprintf("bed-%d", number+1) }

// makeNode creates a Ready Node. It has an InternalIP only: the API server would prefer a Hostname.
func (r *Runner) makeNode(name string, logPort int) error {
	node := &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: name, Labels: map[string]string{
			"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
		}},
		Status: core.NodeStatus{
			Conditions: []core.NodeCondition{{
				Type: core.NodeReady, Status: core.ConditionTrue, Reason: "BedRuns", LastTransitionTime: meta.Now(),
			}},
			Addresses:       []core.NodeAddress{{Type: core.NodeInternalIP, Address: r.Host}},
			DaemonEndpoints: core.NodeDaemonEndpoints{KubeletEndpoint: core.DaemonEndpoint{Port: int32(logPort)}},
		},
	}
	_, err := r.client.CoreV1().Nodes().Create(context.Background(), node, meta.CreateOptions{})
	return err
}

// seen takes up a Pod, binds it first if it has no Node, or starts its end.
func (r *Runner) seen(object *core.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if object.Spec.NodeName == "" {
		if object.DeletionTimestamp == nil {
			r.next++
			go r.bind(object, nodeName(r.next%r.Nodes))
		}
		return
	}
	known := r.pods[object.UID]
	if known == nil {
		if object.Status.Phase == core.PodSucceeded || object.Status.Phase == core.PodFailed {
			return
		}
		known = r.newPod(object)
		r.pods[object.UID] = known
		go known.live()
	}
	if object.DeletionTimestamp != nil {
		grace := int64(30)
		if object.DeletionGracePeriodSeconds != nil {
			grace = *object.DeletionGracePeriodSeconds
		}
		known.end(grace)
	}
}

func (r *Runner) bind(object *core.Pod, node string) {
	binding := &core.Binding{
		ObjectMeta: meta.ObjectMeta{Name: object.Name, Namespace: object.Namespace, UID: object.UID},
		Target:     core.ObjectReference{Kind: "Node", Name: node},
	}
	err := r.client.CoreV1().Pods(object.Namespace).Bind(context.Background(), binding, meta.CreateOptions{})
	if err != nil {
		log.Printf("%s/%s: not bound: %v", object.Namespace, object.Name, err)
	}
}

// gone ends a Pod that was deleted without waiting for us.
func (r *Runner) gone(object *core.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.pods[object.UID]; known != nil {
		known.end(0)
	}
}

func (r *Runner) forget(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pods, uid)
}

// patch writes status fields. A merge patch: a strategic one would merge podIPs with earlier ones and be refused.
func (r *Runner) patch(object *core.Pod, status map[string]any) {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": object.UID}, "status": status})
	if err != nil {
		log.Printf("%s/%s: %v", object.Namespace, object.Name, err)
		return
	}
	_, err = r.client.CoreV1().Pods(object.Namespace).Patch(
		context.Background(), object.Name, types.MergePatchType, body, meta.PatchOptions{}, "status")
	if err != nil {
		log.Printf("%s/%s: status: %v", object.Namespace, object.Name, err)
	}
}

// Act kills, freezes or thaws the program of a Pod.
func (r *Runner) Act(verb, namespace, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, pod := range r.pods {
		if pod.object.Namespace == namespace && pod.object.Name == name {
			return pod.act(verb)
		}
	}
	return fmt.Errorf("no Pod %s/%s runs", namespace, name)
}

// Status is one line per Pod.
func (r *Runner) Status() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, pod := range r.pods {
		lines = append(lines, fmt.Sprintf("%s:%s %s\n", pod.object.Namespace, pod.object.Name, pod.address))
	}
	sort.Strings(lines)
	return strings.Join(lines, "")
}
