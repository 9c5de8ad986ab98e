// Package hub is the agent's connection to the hub: a view of what the hub asks of the cell, and the
// few writes that an agent may make. It works when the hub answers; nothing waits for it.
package hub

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/connrotation"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	// requestTimeout bounds each write and each single read.
	requestTimeout = 10 * time.Second
	// queriesPerSecond and burst allow a hundred guests to report at once without a queue; the hub
	// protects itself with a priority level per cell.
	queriesPerSecond, burst = 50, 100
	// dialTimeout and keepAlive are client-go's own.
	dialTimeout, keepAlive = 30 * time.Second, 30 * time.Second
)

// Options of a connection.
type Options struct {
	// Cell whose agent this is.
	Cell string
	// Config of the hub's API.
	Config *rest.Config
	// Log for what goes wrong.
	Log *slog.Logger
}

// Connection is the agent's view of its namespace and of its own Cell.
type Connection struct {
	cell, namespace string
	log             *slog.Logger
	dialer          *connrotation.Dialer

	fleet        rest.Interface
	coordination coordination.CoordinationV1Interface
	core         core.CoreV1Interface

	controlPlanes, credentials, cells cache.SharedIndexInformer
}

// Connect prepares a connection. It asks the hub nothing yet.
func Connect(o Options) (*Connection, error) {
	config := rest.CopyConfig(o.Config)
	config.QPS, config.Burst = queriesPerSecond, burst
	dialer := connrotation.NewDialer((&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext)
	config.Dial = dialer.DialContext
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("cell %s: connection to the hub: %w", o.Cell, err)
	}
	c := &Connection{cell: o.Cell, namespace: v1alpha1.CellNamespace(o.Cell), log: o.Log, dialer: dialer}
	if c.coordination, err = coordination.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("cell %s: connection to the hub: %w", o.Cell, err)
	}
	if c.core, err = core.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("cell %s: connection to the hub: %w", o.Cell, err)
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register the fleet's types: %w", err)
	}
	config.APIPath, config.GroupVersion = "/apis", &v1alpha1.GroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	fleet, err := rest.RESTClientForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("cell %s: connection to the hub: %w", o.Cell, err)
	}
	c.fleet = fleet
	return c, c.prepare()
}

// prepare makes the informers. They see the cell's namespace, and of the Cells the agent's own.
func (c *Connection) prepare() error {
	everything, own := fields.Everything(), fields.OneTermEqualSelector("metadata.name", c.cell)
	for _, view := range []struct {
		informer  *cache.SharedIndexInformer
		example   runtime.Object
		resource  string
		namespace string
		selector  fields.Selector
	}{
		{&c.controlPlanes, &v1alpha1.ControlPlane{}, controlPlanes, c.namespace, everything},
		{&c.credentials, &v1alpha1.ClusterCredential{}, credentials, c.namespace, everything},
		{&c.cells, &v1alpha1.Cell{}, cells, "", own},
	} {
		source := cache.NewListWatchFromClient(c.fleet, view.resource, view.namespace, view.selector)
		informer := cache.NewSharedIndexInformer(source, view.example, 0, cache.Indexers{})
		if err := informer.SetTransform(strip); err != nil {
			return fmt.Errorf("view of %s: %w", view.resource, err)
		}
		if err := informer.SetWatchErrorHandlerWithContext(c.watchFailed(view.resource)); err != nil {
			return fmt.Errorf("view of %s: %w", view.resource, err)
		}
		*view.informer = informer
	}
	return nil
}

// watchFailed keeps the log quiet: the heartbeat says once that the hub cannot be reached.
func (c *Connection) watchFailed(resource string) cache.WatchErrorHandlerWithContext {
	return func(_ context.Context, _ *cache.Reflector, err error) {
		if !apierrors.IsResourceExpired(err) {
			c.log.Debug("a watch of the hub ended; it is tried again", "resource", resource, "error", err)
		}
	}
}

// Run keeps the view up to date until the context ends.
func (c *Connection) Run(ctx context.Context) {
	done := make(chan struct{})
	views := []cache.SharedIndexInformer{c.controlPlanes, c.credentials, c.cells}
	for _, view := range views {
		go func() {
			view.RunWithContext(ctx)
			done <- struct{}{}
		}()
	}
	for range views {
		<-done
	}
}

// Reconnect ends all connections. The next ones show the certificate that is on disk by then; client-go
// by itself would look for a new one every five minutes.
func (c *Connection) Reconnect() { c.dialer.CloseAll() }

// AwaitSync returns true once the view is complete, and false when the context ended before.
func (c *Connection) AwaitSync(ctx context.Context) bool {
	return cache.WaitForCacheSync(ctx.Done(), c.controlPlanes.HasSynced, c.credentials.HasSynced, c.cells.HasSynced)
}

// strip drops what the agent never reads and what would be the larger part of its memory.
func strip(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}
