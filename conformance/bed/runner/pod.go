package runner

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pod is one Pod that runs here, or is about to, or ends.
type pod struct {
	runner  *Runner
	object  *core.Pod
	dir     string
	address string
	number  int

	mu      sync.Mutex
	command *exec.Cmd
	ending  chan struct{}
	once    sync.Once
	grace   time.Duration
	started time.Time
	// restarts counts programs that ended by themselves.
	restarts int
}

// newPod is called with the runner's lock held.
func (r *Runner) newPod(object *core.Pod) *pod {
	r.next++
	p := &pod{
		runner: r, object: object, number: r.next, ending: make(chan struct{}),
		dir: filepath.Join(r.Dir, object.Namespace+"_"+object.Name),
	}
	// 198.18.1.1 to 198.18.198.250: what is left of the bridge's network beside the addresses of Gateways.
	turn := r.next % (198 * 250)
	p.address = fmt.Sprintf("198.18.%d.%d", 1+turn/250, 1+turn%250)
	if object.Spec.HostNetwork {
		p.address = r.Host
	}
	return p
}

func (p *pod) name() string { return p.object.Namespace + "/" + p.object.Name }

// end begins the Pod's end, once.
func (p *pod) end(graceSeconds int64) {
	p.once.Do(func() {
		p.grace = time.Duration(graceSeconds) * time.Second
		close(p.ending)
	})
}

// live runs the Pod from its first moment to its last.
func (p *pod) live() {
	defer p.bury()
	container := p.object.Spec.Containers[0]
	image, _, _ := strings.Cut(container.Image, "@")
	if colon := strings.LastIndex(image, ":"); colon > strings.LastIndex(image, "/") {
		image = image[:colon]
	}
	program := p.runner.Images[image]
	if program == "" {
		p.waiting("ErrImagePull", "the bed knows no program for image "+container.Image)
		<-p.ending
		return
	}
	for {
		err := p.layOut(program, container)
		if err == nil {
			break
		}
		// A Secret that isn't there yet: looked for again, as a kubelet does, only sooner.
		p.waiting("ContainerCreating", err.Error())
		select {
		case <-p.ending:
			return
		case <-time.After(250 * time.Millisecond):
		}
	}
	for {
		ended := p.run(container)
		select {
		case <-p.ending:
			return
		default:
		}
		p.restarts++
		p.report(false, "CrashLoopBackOff", ended)
		select {
		case <-p.ending:
			return
		case <-time.After(time.Second):
		}
	}
}

// run starts the program, watches its readiness, and returns how it ended.
func (p *pod) run(container core.Container) string {
	command, ended, err := p.launch(container)
	if err != nil {
		return err.Error()
	}
	p.mu.Lock()
	p.command, p.started = command, time.Now()
	p.mu.Unlock()
	if p.restarts == 0 {
		p.report(false, "", "")
	}
	quiet := make(chan struct{})
	go p.watchReadiness(container, command.Process.Pid, quiet)
	defer close(quiet)
	select {
	case how := <-ended:
		return how
	case <-p.ending:
	}
	// The time before the signal counts, as a kubelet has it.
	over := time.After(p.grace)
	select {
	case how := <-ended:
		return how
	case <-over:
	case <-time.After(beforeStop(container)):
	}
	_ = command.Process.Signal(syscall.SIGTERM)
	_ = command.Process.Signal(syscall.SIGCONT)
	select {
	case <-ended:
	case <-over:
		_ = command.Process.Kill()
		<-ended
	}
	return "ended"
}

// beforeStop is how long a program that has to end goes on before it is told.
func beforeStop(container core.Container) time.Duration {
	hooks := container.Lifecycle
	if hooks == nil || hooks.PreStop == nil || hooks.PreStop.Sleep == nil {
		return 0
	}
	return time.Duration(hooks.PreStop.Sleep.Seconds) * time.Second
}

// launch starts the program in namespaces of its own.
func (p *pod) launch(container core.Container) (*exec.Cmd, <-chan string, error) {
	spec, err := p.spec(container)
	if err != nil {
		return nil, nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	command := exec.Command("/proc/self/exe", ChildCommand)
	command.ExtraFiles = []*os.File{read}
	flags := uintptr(syscall.CLONE_NEWNS)
	if !p.object.Spec.HostNetwork {
		flags |= syscall.CLONE_NEWNET
	}
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	output, input := io.Pipe()
	command.Stdout, command.Stderr = input, input
	go p.keepLog(output)
	err = command.Start()
	read.Close()
	if err != nil {
		write.Close()
		return nil, nil, err
	}
	if !p.object.Spec.HostNetwork {
		err = p.plugIn(command.Process.Pid)
	}
	if err == nil {
		err = json.NewEncoder(write).Encode(spec)
	}
	write.Close()
	if err != nil {
		_ = command.Process.Kill()
	}
	ended := make(chan string, 1)
	go func() {
		how := command.Wait()
		input.Close()
		ended <- fmt.Sprint(how)
	}()
	return command, ended, err
}

// keepLog writes the program's lines with the moment they were read, as a container runtime does.
func (p *pod) keepLog(output io.Reader) {
	file, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		log.Printf("%s: log: %v", p.name(), err)
		_, _ = io.Copy(io.Discard, output)
		return
	}
	defer file.Close()
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			fmt.Fprintf(file, "%s %s\n", time.Now().UTC().Format(time.RFC3339Nano), strings.TrimSuffix(line, "\n"))
		}
		if err != nil {
			return
		}
	}
}

func (p *pod) act(verb string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	signal, known := map[string]syscall.Signal{
		"kill": syscall.SIGKILL, "freeze": syscall.SIGSTOP, "thaw": syscall.SIGCONT,
	}[verb]
	if !known || p.command == nil {
		return fmt.Errorf("%s: cannot %s", p.name(), verb)
	}
	return p.command.Process.Signal(signal)
}

func (p *pod) waiting(reason, message string) { p.report(false, reason, message) }

// report writes the status: running unless there is a reason why it isn't.
func (p *pod) report(ready bool, reason, message string) {
	now := meta.Now()
	is := func(yes bool) string {
		if yes {
			return "True"
		}
		return "False"
	}
	condition := func(kind string, yes bool) map[string]any {
		return map[string]any{"type": kind, "status": is(yes), "lastTransitionTime": now}
	}
	state := map[string]any{"running": map[string]any{"startedAt": meta.NewTime(p.started)}}
	phase := core.PodRunning
	if reason != "" {
		state = map[string]any{"waiting": map[string]any{"reason": reason, "message": message}}
		phase = core.PodPending
	}
	container := p.object.Spec.Containers[0]
	p.runner.patch(p.object, map[string]any{
		"phase": phase, "podIP": p.address, "podIPs": []any{map[string]any{"ip": p.address}},
		"hostIP": p.runner.Host, "hostIPs": []any{map[string]any{"ip": p.runner.Host}}, "startTime": p.object.CreationTimestamp,
		"conditions": []any{
			condition("PodScheduled", true), condition("Initialized", true),
			condition("ContainersReady", ready), condition("Ready", ready),
		},
		"containerStatuses": []any{map[string]any{
			"name": container.Name, "image": container.Image, "imageID": "", "ready": ready, "started": reason == "",
			"restartCount": p.restarts, "state": state, "lastState": map[string]any{},
		}},
	})
}

// bury removes what is left of the Pod, here and in the API server.
func (p *pod) bury() {
	p.unplug()
	if err := os.RemoveAll(p.dir); err != nil {
		log.Printf("%s: %v", p.name(), err)
	}
	p.runner.forget(p.object.UID)
	now, uid := int64(0), p.object.UID
	_ = p.runner.client.CoreV1().Pods(p.object.Namespace).Delete(context.Background(), p.object.Name, meta.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: &meta.Preconditions{UID: &uid},
	})
}
