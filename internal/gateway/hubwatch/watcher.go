// Package hubwatch keeps what the hub says about a region's guests: it learns the region's cells from a
// ConfigMap and watches the ControlPlanes of each. While the hub is away what was learned stays.
package hubwatch

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gateway/routing"
)

// Options of New. All are required.
type Options struct {
	// Config of the hub.
	Config *rest.Config
	// Region whose cells are watched.
	Region string
	// Changed is called, possibly often, after Known has changed. It must not block.
	Changed func()
	// Log of what the hub refuses.
	Log *slog.Logger
}

// Watcher of one region.
type Watcher struct {
	options Options
	core    rest.Interface
	fleet   rest.Interface
	codec   runtime.ParameterCodec
	running sync.WaitGroup

	mutex sync.Mutex
	cells map[string]*cell
}

// cell whose ControlPlanes are watched.
type cell struct {
	stop   context.CancelFunc
	synced bool
	orders map[string]routing.Placement // by ControlPlane name
}

// New makes a watcher. It does not talk to the hub yet.
func New(options Options) (*Watcher, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register the core API: %w", err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register the fleet API: %w", err)
	}
	core, err := clientFor(options.Config, scheme, corev1.SchemeGroupVersion, "/api")
	if err != nil {
		return nil, err
	}
	fleet, err := clientFor(options.Config, scheme, v1alpha1.GroupVersion, "/apis")
	if err != nil {
		return nil, err
	}
	return &Watcher{
		options: options, core: core, fleet: fleet,
		codec: runtime.NewParameterCodec(scheme), cells: map[string]*cell{},
	}, nil
}

// Run watches until ctx is done.
func (w *Watcher) Run(ctx context.Context) {
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(w.options.Log.Handler()))
	source := listWatch{
		client: w.core, codec: w.codec, resource: "configmaps",
		namespace: v1alpha1.RegionNamespace(w.options.Region), name: v1alpha1.RegionCellsConfigMap,
		newList: func() runtime.Object { return &corev1.ConfigMapList{} },
	}
	sink := store{
		strip:   stripConfigMap,
		put:     func(object any) { w.setCells(ctx, object) },
		drop:    func(any) {}, // a missing list of cells says nothing about cells
		replace: func(objects []any) { w.setCells(ctx, objects...) },
	}
	reflect(ctx, "cells of region "+w.options.Region, source, &corev1.ConfigMap{}, sink)
	w.running.Wait()
}

// setCells starts to watch cells that are new in the list and stops to watch those that left it. The
// routes of a cell that left stay: only tombstones remove them.
func (w *Watcher) setCells(ctx context.Context, configMaps ...any) {
	for _, object := range configMaps {
		list, isConfigMap := object.(*corev1.ConfigMap)
		if !isConfigMap {
			continue
		}
		w.mutex.Lock()
		for name, cell := range w.cells {
			if _, listed := list.Data[name]; !listed {
				cell.stop()
				delete(w.cells, name)
			}
		}
		for name := range list.Data {
			if w.cells[name] == nil {
				w.watchCell(ctx, name)
			}
		}
		w.mutex.Unlock()
		w.options.Changed()
	}
}

// watchCell starts to watch the ControlPlanes of a cell. The mutex is held.
func (w *Watcher) watchCell(ctx context.Context, name string) {
	ctx, stop := context.WithCancel(ctx)
	watched := &cell{stop: stop, orders: map[string]routing.Placement{}}
	w.cells[name] = watched
	source := listWatch{
		client: w.fleet, codec: w.codec, resource: "controlplanes", namespace: v1alpha1.CellNamespace(name),
		newList: func() runtime.Object { return &v1alpha1.ControlPlaneList{} },
	}
	sink := store{
		strip:   stripControlPlane,
		put:     func(object any) { w.put(name, watched, object) },
		drop:    func(object any) { w.drop(watched, object) },
		replace: func(objects []any) { w.replace(name, watched, objects) },
	}
	w.running.Go(func() { reflect(ctx, "guests of cell "+name, source, &v1alpha1.ControlPlane{}, sink) })
}

// put an order that is new or has changed. Most changes of a status are none to a gateway.
func (w *Watcher) put(name string, watched *cell, object any) {
	order, isOrder := object.(*v1alpha1.ControlPlane)
	if !isOrder {
		return
	}
	placement := routing.FromControlPlane(name, order)
	w.mutex.Lock()
	same := equality.Semantic.DeepEqual(watched.orders[order.Name], placement)
	watched.orders[order.Name] = placement
	w.mutex.Unlock()
	if !same {
		w.options.Changed()
	}
}

// drop an order that was deleted. Its route stays unless it had a tombstone.
func (w *Watcher) drop(watched *cell, object any) {
	order, isOrder := object.(*v1alpha1.ControlPlane)
	if !isOrder {
		return
	}
	w.mutex.Lock()
	delete(watched.orders, order.Name)
	w.mutex.Unlock()
	w.options.Changed()
}

// replace all orders of a cell.
func (w *Watcher) replace(name string, watched *cell, objects []any) {
	orders := make(map[string]routing.Placement, len(objects))
	for _, object := range objects {
		if order, isOrder := object.(*v1alpha1.ControlPlane); isOrder {
			orders[order.Name] = routing.FromControlPlane(name, order)
		}
	}
	w.mutex.Lock()
	watched.orders = orders
	watched.synced = true
	w.mutex.Unlock()
	w.options.Changed()
}

// Known placements of all cells, in no order.
func (w *Watcher) Known() []routing.Placement {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var known []routing.Placement
	for _, cell := range w.cells {
		known = slices.AppendSeq(known, maps.Values(cell.orders))
	}
	return known
}

// CellStatus says how far a cell is known.
type CellStatus struct {
	// Name of the cell.
	Name string `json:"name"`
	// Synced: all its ControlPlanes have been read since this process started.
	Synced bool `json:"synced"`
	// Orders that are known.
	Orders int `json:"orders"`
}

// Cells that are watched, by name.
func (w *Watcher) Cells() []CellStatus {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	cells := make([]CellStatus, 0, len(w.cells))
	for _, name := range slices.Sorted(maps.Keys(w.cells)) {
		cells = append(cells, CellStatus{Name: name, Synced: w.cells[name].synced, Orders: len(w.cells[name].orders)})
	}
	return cells
}
