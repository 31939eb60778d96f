// Package ingress_test checks an Ingress controller, whatever the kubeconfig leads to, by the scenarios of the
// Kubernetes project's ingress-controller-conformance. `cargo xtask conformance ingress` builds and starts it.
package ingress_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	ingressClass = flag.String("ingress-class", "narthex", "class of the Ingresses that the controller must serve")
	echoImage    = flag.String("echo-image", "registry.k8s.io/gateway-api/conformance/echo-basic:v0.2.0", "image of the backends")
	statusWait   = flag.Duration("wait-time-for-ingress-status", time.Minute, "how long an Ingress may be without an address")
	readyWait    = flag.Duration("wait-time-for-ready", time.Minute, "how long backends may take until they are ready")
	quietWait    = flag.Duration("wait-time-for-no-status", 5*time.Second, "how long an Ingress that is not ours is watched")
	scaleWait    = flag.Duration("wait-time-after-scaling", 2*time.Second, "how long the controller has to see new endpoints")
	reportPath   = flag.String("report-output", "", "file to write the outcome to")
	version      = flag.String("version", "unknown", "version of the controller, for the report")

	client *kubernetes.Clientset
)

func TestMain(m *testing.M) {
	flag.Parse()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{}).ClientConfig()
	if err == nil {
		// The tests ask for many objects in a row; the API server has its own limits.
		config.QPS, config.Burst = 200, 400
		client, err = kubernetes.NewForConfig(config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "no cluster:", err)
		os.Exit(2)
	}
	code := m.Run()
	if *reportPath != "" {
		if err := writeReport(*reportPath); err != nil {
			fmt.Fprintln(os.Stderr, "report:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}
