package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/internal/runtime/kubernetes/objects"
	"github.com/myriad-fleet/myriad/test/bench/byhand"
	"github.com/myriad-fleet/myriad/test/lab"
)

// volumeSize of an etcd member by hand: the default of 'myriad agent --volume-size'.
const volumeSize = "10Gi"

// inPods is a control plane that runs as pods in the lab.
type inPods interface {
	subject
	// namespace of its pods.
	namespace(ctx context.Context) (string, error)
}

func (g *guest) namespace(ctx context.Context) (string, error) {
	err := g.read(ctx)
	return objects.NamespaceName(g.cluster.Status.ID), err
}

// pods are a control plane by hand in the lab.
type pods struct {
	*byhand.Pods
	lab *laboratory
}

// pods makes the number'th control plane by hand. Zones take turns, as they do for guests, which are
// placed where there is most room.
func (b *bench) pods(number int) (inPods, error) {
	order := *b.lab.order.DeepCopy()
	order.ID = fmt.Sprintf("h%09d", rand.IntN(1e9))
	order.Zones = lab.Zones()[number%len(lab.Zones()):][:1]
	order.Endpoint.ServerName = order.ID + ".byhand.internal"
	p, err := byhand.PreparePods(byhand.PodOptions{
		Client: b.lab.client, Order: order,
		Cell: objects.Cell{
			Name: b.lab.handCell(), VolumeSize: resource.MustParse(volumeSize),
			Agents: []netip.Prefix{netip.PrefixFrom(lab.HostAddress, lab.HostAddress.BitLen())},
		},
	})
	return pods{p, b.lab}, err
}

func (p pods) start(ctx context.Context) (*rest.Config, error) { return p.Apply(ctx) }
func (p pods) stop(ctx context.Context) error                  { return p.lab.remove(ctx, p.Namespace()) }
func (p pods) namespace(context.Context) (string, error)       { return p.Namespace(), nil }

// restarts of all containers of some control planes, once all of their pods are ready: a container that
// is about to be killed by a probe must not be missed.
func (l *laboratory) restarts(ctx context.Context, namespaces []string) (float64, error) {
	settled, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var all []corev1.Pod
	err := wait.PollUntilContextCancel(settled, pollMany, true, func(context.Context) (bool, error) {
		all = nil
		for _, namespace := range namespaces {
			var list corev1.PodList
			if err := l.client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
				return false, fmt.Errorf("list the pods of namespace %s: %w", namespace, err)
			}
			all = append(all, list.Items...)
		}
		return allReady(all), nil
	})
	// Pods that never become ready have restarted often enough to be told.
	if err != nil && settled.Err() == nil {
		return 0, err
	}
	return float64(restartsOf(all)), ctx.Err()
}

func allReady(all []corev1.Pod) bool {
	for _, pod := range all {
		ready := false
		for _, condition := range pod.Status.Conditions {
			ready = ready || condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
		}
		if !ready {
			return false
		}
	}
	return true
}

func restartsOf(all []corev1.Pod) int {
	count := 0
	for _, pod := range all {
		for _, container := range pod.Status.ContainerStatuses {
			count += int(container.RestartCount)
		}
	}
	return count
}
