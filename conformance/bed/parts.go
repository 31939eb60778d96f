package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// parts are the programs of the control plane, each under the name of its binary.
type parts struct {
	mu    sync.Mutex
	dir   string
	order []*part
}

type part struct {
	name, program string
	args          []string
	log           *os.File
	command       *exec.Cmd
	ended         chan struct{}
	// slowed is closed to end a slow-down.
	slowed chan struct{}
}

func newParts(dir, bin string) *parts {
	pki := func(name string) string { return filepath.Join(dir, "pki", name) }
	etcd := "http://127.0.0.1:2379"
	p := &parts{dir: dir}
	p.add(bin, "etcd",
		"--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", etcd, "--advertise-client-urls", etcd,
		"--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
		"--initial-cluster", "default=http://127.0.0.1:2380")
	p.add(bin, "kube-apiserver",
		"--etcd-servers", etcd, "--bind-address", hostAddress, "--secure-port", fmt.Sprint(apiPort),
		"--tls-cert-file", pki("apiserver.crt"), "--tls-private-key-file", pki("apiserver.key"),
		"--cert-dir", pki(""), "--token-auth-file", pki("tokens.csv"), "--authorization-mode", "RBAC",
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", pki("sa.key"), "--service-account-signing-key-file", pki("sa.key"),
		"--service-cluster-ip-range", serviceRange, "--allow-privileged=true",
		// Not on by default before Kubernetes 1.37.
		"--feature-gates", "ClusterTrustBundle=true",
		"--runtime-config", "certificates.k8s.io/v1beta1/clustertrustbundles=true",
		"--max-requests-inflight", "2000", "--max-mutating-requests-inflight", "1000",
		"--audit-policy-file", filepath.Join(dir, "audit-policy.yaml"), "--audit-log-path", filepath.Join(dir, "audit.log"),
		"--audit-log-maxsize", "1000")
	// The six controllers that Deployments, EndpointSlices and clean-up need, and the one that puts the authority's
	// certificate into each namespace. There is no scheduler: the runner binds Pods itself.
	controllers := []string{
		"deployment-controller", "replicaset-controller", "endpointslice-controller", "serviceaccount-controller",
		"namespace-controller", "garbage-collector-controller", "root-ca-certificate-publisher-controller",
	}
	p.add(bin, "kube-controller-manager",
		"--kubeconfig", filepath.Join(dir, "admin.kubeconfig"), "--leader-elect=false",
		"--use-service-account-credentials=false", "--service-account-private-key-file", pki("sa.key"),
		"--root-ca-file", pki("ca.crt"), "--kube-api-qps", "300", "--kube-api-burst", "600",
		"--concurrent-namespace-syncs", "40", "--concurrent-deployment-syncs", "20",
		"--controllers", strings.Join(controllers, ","))
	return p
}

func (p *parts) add(bin, name string, args ...string) {
	p.order = append(p.order, &part{name: name, program: filepath.Join(bin, name), args: args})
}

// auditPolicy has a line written per request of Narthex, and none for those of others.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: ["system:serviceaccounts:narthex-system"]
  - level: None
`

// startAll returns when the API server is ready.
func (p *parts) startAll() error {
	if err := os.WriteFile(filepath.Join(p.dir, "audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	for _, part := range p.order {
		if err := p.start(part); err != nil {
			return err
		}
		if part.name == "kube-apiserver" {
			if err := within(60*time.Second, apiReady); err != nil {
				return fmt.Errorf("the API server is not ready: %w (see %s)", err, part.log.Name())
			}
		}
	}
	return nil
}

func (p *parts) start(part *part) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if part.ended != nil {
		select {
		case <-part.ended:
		default:
			return fmt.Errorf("%s runs", part.name)
		}
	}
	if part.log == nil {
		file, err := os.OpenFile(filepath.Join(p.dir, part.name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		part.log = file
	}
	part.command = exec.Command(part.program, part.args...)
	part.command.Stdout, part.command.Stderr = part.log, part.log
	if err := part.command.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	part.ended = ended
	go func(command *exec.Cmd) {
		log.Printf("%s ended: %v", part.name, command.Wait())
		close(ended)
	}(part.command)
	return nil
}

// act does what a control request asks for.
func (p *parts) act(verb, name, argument string) error {
	for _, part := range p.order {
		if part.name != name {
			continue
		}
		switch verb {
		case "start":
			return p.start(part)
		case "kill":
			err := part.command.Process.Signal(syscall.SIGKILL)
			<-part.ended
			return err
		case "freeze":
			return part.command.Process.Signal(syscall.SIGSTOP)
		case "thaw":
			if part.slowed != nil {
				close(part.slowed)
				part.slowed = nil
			}
			return part.command.Process.Signal(syscall.SIGCONT)
		case "slow":
			return part.slow(argument)
		}
		return fmt.Errorf("unknown verb %q: start, kill, freeze, thaw, slow", verb)
	}
	return fmt.Errorf("no part is called %q", name)
}

// slow lets a part run only a share of each tenth of a second, until it is thawed.
func (p *part) slow(percent string) error {
	var stopped int
	if _, err := fmt.Sscan(percent, &stopped); err != nil || stopped < 1 || stopped > 95 {
		return fmt.Errorf("slow wants the percentage of time that the part stands still, 1 to 95, not %q", percent)
	}
	if p.slowed != nil {
		close(p.slowed)
	}
	end := make(chan struct{})
	p.slowed = end
	go func() {
		still := time.Duration(stopped) * time.Millisecond
		for {
			_ = p.command.Process.Signal(syscall.SIGSTOP)
			time.Sleep(still)
			_ = p.command.Process.Signal(syscall.SIGCONT)
			select {
			case <-end:
				return
			case <-p.ended:
				return
			case <-time.After(100*time.Millisecond - still):
			}
		}
	}()
	return nil
}

func apiReady() error {
	client := http.Client{
		Timeout:   time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
	answer, err := client.Get(fmt.Sprintf("https://%s:%d/readyz", hostAddress, apiPort))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s", answer.Status, body)
	}
	return nil
}
