package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/test/scale/fleetplan"
)

const (
	// usersPerSecond is the rate of users' requests, low so that they are no part of what a cluster costs; while agents
	// come back it is that of DESIGN.md §9, where a failed request is defined.
	usersPerSecond, usersUnderTest = 1, 50
	// userPatience with a request: writes time out at the client after 2 s (DESIGN.md §9).
	userPatience = 2 * time.Second
	// everyWrite so many requests is a creation, which the API server only checks; the others read.
	everyWrite = 5
)

// users ask the hub for what people ask of it, without retries, and count what fails.
type users struct {
	api      client.Client
	clusters []fleetplan.Cluster

	mu       sync.Mutex
	pause    time.Duration
	asked    int
	failures []string
	took     []float64 // seconds
}

func newUsers(config *rest.Config, clusters []fleetplan.Cluster) (*users, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register kinds: %w", err)
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect as a user: %w", err)
	}
	return &users{api: api, clusters: clusters, pause: time.Second / usersPerSecond}, nil
}

// rate of requests from now on, per second.
func (u *users) rate(perSecond int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pause = time.Second / time.Duration(perSecond)
}

// run asks until the context ends.
func (u *users) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for i := 0; ; i++ {
		u.mu.Lock()
		pause := u.pause
		u.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			all.Go(func() { u.ask(ctx, i) })
		}
	}
}

func (u *users) ask(ctx context.Context, i int) {
	began := time.Now()
	request, cancel := context.WithTimeout(ctx, userPatience)
	defer cancel()
	of := u.clusters[i*7919%len(u.clusters)] // a prime: all of them come up
	var err error
	if i%everyWrite == 0 {
		probe := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: of.Namespace, Name: "probe"}, Spec: v1alpha1.ClusterSpec{Template: of.Template, Region: "region-01"}}
		err = u.api.Create(request, probe, client.DryRunAll)
	} else {
		err = client.IgnoreNotFound(u.api.Get(request, client.ObjectKey{Namespace: of.Namespace, Name: of.Name}, &v1alpha1.Cluster{}))
	}
	if ctx.Err() != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked++
	u.took = append(u.took, time.Since(began).Seconds())
	if err != nil {
		text := err.Error()
		if apierrors.IsTooManyRequests(err) {
			text = "told to wait: " + text
		}
		u.failures = append(u.failures, text)
	}
}

// take what happened since it was last called.
func (u *users) take() (asked int, failures []string, took []float64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	asked, failures, took = u.asked, u.failures, u.took
	u.asked, u.failures, u.took = 0, nil, nil
	return asked, failures, took
}
