package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/test/scale/witness"
)

// lookPeriod is how often the witness looks for what must not last.
const lookPeriod = 5 * time.Second

// startWatching has the witness told of every Cluster and order, the meter read, and users ask, until stop.
func (w *world) startWatching(ctx context.Context) error {
	var capacities []witness.Capacity
	for _, cell := range w.plan.Cells {
		capacities = append(capacities, witness.Capacity{Cell: cell.Name, Zones: zones, MilliCPU: zoneMilliCPU, Memory: zoneMemory})
	}
	w.witness, w.meter = witness.New(capacities), newMeter(w.fleet, w.hosts)
	ctx, cancel := context.WithCancel(ctx)
	w.stop = cancel
	if err := w.watch(ctx); err != nil {
		return err
	}
	config, err := w.asUser()
	if err != nil {
		return err
	}
	if w.users, err = newUsers(config, w.plan.Clusters); err != nil {
		return err
	}
	go w.users.run(ctx)
	go w.meter.follow(ctx, w.progress)
	go func() {
		ticker := time.NewTicker(lookPeriod)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				w.witness.Look(now)
			}
		}
	}()
	return nil
}

// watch Clusters and orders.
func (w *world) watch(ctx context.Context) error {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("register kinds: %w", err)
	}
	views, err := cache.New(w.config, cache.Options{Scheme: scheme, DefaultTransform: lean})
	if err != nil {
		return fmt.Errorf("watch the hub: %w", err)
	}
	for object, handler := range map[client.Object]toolscache.ResourceEventHandlerFuncs{
		&v1alpha1.Cluster{}:      handle(func(c *v1alpha1.Cluster) { w.witness.Cluster(c, time.Now()) }, func(c *v1alpha1.Cluster) { w.witness.ClusterGone(keyOf(c)) }),
		&v1alpha1.ControlPlane{}: handle(w.witness.Order, w.witness.OrderGone),
	} {
		informer, err := views.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watch %T: %w", object, err)
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watch %T: %w", object, err)
		}
	}
	go func() { _ = views.Start(ctx) }() // it ends with the context, and only then
	if !views.WaitForCacheSync(ctx) {
		return fmt.Errorf("watch the hub: %w", ctx.Err())
	}
	return nil
}

// handle has what is there told to one function and what is gone to another.
func handle[T client.Object](there, gone func(T)) toolscache.ResourceEventHandlerFuncs {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			if o, ok := object.(T); ok {
				there(o)
			}
		},
		UpdateFunc: func(_, object any) {
			if o, ok := object.(T); ok {
				there(o)
			}
		},
		DeleteFunc: func(object any) {
			if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			if o, ok := object.(T); ok {
				gone(o)
			}
		},
	}
}

// lean drops what the witness does not look at.
func lean(object any) (any, error) {
	switch o := object.(type) {
	case *v1alpha1.Cluster:
		o.ManagedFields = nil
		o.Status = v1alpha1.ClusterStatus{Conditions: o.Status.Conditions}
	case *v1alpha1.ControlPlane:
		o.ManagedFields = nil
		o.Status = v1alpha1.ControlPlaneStatus{}
	}
	return object, nil
}

func keyOf(object client.Object) types.NamespacedName { return client.ObjectKeyFromObject(object) }
