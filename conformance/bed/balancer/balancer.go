// Package balancer is the load balancer of the bed: Services of type LoadBalancer get an address, which leads to their
// endpoints. It does what a cloud or MetalLB does, by way of the API alone.
package balancer

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"slices"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// Balancer follows Services and EndpointSlices.
type Balancer struct {
	client   kubernetes.Interface
	pool     netip.Prefix
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	changed  chan struct{}
	open     map[socket]*forwarder
}

// socket is where clients connect to.
type socket struct {
	protocol core.Protocol
	at       netip.AddrPort
}

// Start hands out addresses of the pool, which must be local, until the process ends.
func Start(kubeconfig, pool string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	// The default of 5 requests a second makes everything slow.
	config.QPS, config.Burst = 500, 1000
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	b := &Balancer{
		client:   client,
		pool:     netip.MustParsePrefix(pool),
		services: factory.Core().V1().Services().Lister(),
		slices:   factory.Discovery().V1().EndpointSlices().Lister(),
		changed:  make(chan struct{}, 1),
		open:     map[socket]*forwarder{},
	}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().Services().Informer(), factory.Discovery().V1().EndpointSlices().Informer(),
	} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { b.note() },
			UpdateFunc: func(any, any) { b.note() },
			DeleteFunc: func(any) { b.note() },
		})
		if err != nil {
			return err
		}
	}
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	go b.follow()
	return nil
}

func (b *Balancer) note() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

func (b *Balancer) follow() {
	for range b.changed {
		// More of them are likely to come at once.
		time.Sleep(5 * time.Millisecond)
		if err := b.settle(); err != nil {
			log.Printf("load balancer: %v", err)
			time.AfterFunc(time.Second, b.note)
		}
	}
}

// settle makes addresses and sockets what they should be.
func (b *Balancer) settle() error {
	all, err := b.services.List(labels.Everything())
	if err != nil {
		return err
	}
	// The oldest first: what is taken is taken.
	slices.SortFunc(all, func(a, c *core.Service) int {
		if order := a.CreationTimestamp.Compare(c.CreationTimestamp.Time); order != 0 {
			return order
		}
		return strings.Compare(a.Namespace+"/"+a.Name, c.Namespace+"/"+c.Name)
	})
	addresses := b.assign(all)
	wanted := map[socket][]string{}
	var problem error
	for _, service := range all {
		address, given := addresses[service]
		if !given {
			continue
		}
		if err := b.tell(service, address); err != nil {
			problem = err
		}
		for _, port := range service.Spec.Ports {
			at := socket{port.Protocol, netip.AddrPortFrom(address, uint16(port.Port))}
			wanted[at] = b.endpoints(service, port)
		}
	}
	for at, forwarder := range b.open {
		if _, stays := wanted[at]; !stays {
			forwarder.close()
			delete(b.open, at)
		}
	}
	for at, endpoints := range wanted {
		if b.open[at] == nil {
			opened, err := open(at)
			if err != nil {
				problem = err
				continue
			}
			b.open[at] = opened
		}
		b.open[at].lead(endpoints)
	}
	return problem
}

// assign gives each Service the address that it asks for, or has, or a free one. Who asks for one that is not ours to give,
// or taken, gets none.
func (b *Balancer) assign(all []*core.Service) map[*core.Service]netip.Addr {
	given, taken := map[*core.Service]netip.Addr{}, map[netip.Addr]bool{}
	take := func(service *core.Service, address netip.Addr) {
		if b.pool.Contains(address) && !taken[address] {
			given[service], taken[address] = address, true
		}
	}
	var left []*core.Service
	for _, service := range all {
		if service.Spec.Type != core.ServiceTypeLoadBalancer {
			continue
		}
		asked := service.Spec.LoadBalancerIP
		for _, shown := range service.Status.LoadBalancer.Ingress {
			if address, err := netip.ParseAddr(shown.IP); err == nil && (asked == "" || asked == shown.IP) {
				take(service, address)
			}
		}
		if _, has := given[service]; !has {
			left = append(left, service)
		}
	}
	for _, service := range left {
		if asked := service.Spec.LoadBalancerIP; asked != "" {
			if address, err := netip.ParseAddr(asked); err == nil {
				take(service, address)
			}
		}
	}
	for _, service := range left {
		if service.Spec.LoadBalancerIP == "" {
			address := b.pool.Addr().Next()
			for ; taken[address]; address = address.Next() {
			}
			take(service, address)
		}
	}
	return given
}

// tell writes the address into the status.
func (b *Balancer) tell(service *core.Service, address netip.Addr) error {
	shown := service.Status.LoadBalancer.Ingress
	if len(shown) == 1 && shown[0].IP == address.String() {
		return nil
	}
	service = service.DeepCopy()
	service.Status.LoadBalancer.Ingress = []core.LoadBalancerIngress{{IP: address.String()}}
	_, err := b.client.CoreV1().Services(service.Namespace).UpdateStatus(context.Background(), service, meta.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("%s/%s: %w", service.Namespace, service.Name, err)
	}
	return nil
}

// endpoints of a port: those that are ready, and if there are none, those that still serve.
func (b *Balancer) endpoints(service *core.Service, port core.ServicePort) []string {
	of := labels.SelectorFromSet(labels.Set{discovery.LabelServiceName: service.Name})
	all, _ := b.slices.EndpointSlices(service.Namespace).List(of)
	var ready, serving []string
	for _, slice := range all {
		for _, open := range slice.Ports {
			if open.Port == nil || open.Name == nil || *open.Name != port.Name {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				ip, err := netip.ParseAddr(endpoint.Addresses[0])
				if err != nil {
					continue
				}
				at := netip.AddrPortFrom(ip, uint16(*open.Port)).String()
				switch is := endpoint.Conditions; {
				case is.Ready == nil || *is.Ready:
					ready = append(ready, at)
				case is.Serving == nil || *is.Serving:
					serving = append(serving, at)
				}
			}
		}
	}
	if len(ready) == 0 {
		ready = serving
	}
	slices.Sort(ready)
	return ready
}
