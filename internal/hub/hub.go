// Package hub runs the controllers of the fleet's management API, and installs what they need there.
package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/hub/cell"
	"github.com/myriad-fleet/myriad/internal/hub/certificate"
	"github.com/myriad-fleet/myriad/internal/hub/cluster"
	"github.com/myriad-fleet/myriad/internal/hub/credential"
	"github.com/myriad-fleet/myriad/internal/hub/epoch"
	"github.com/myriad-fleet/myriad/internal/hub/gearbox"
	"github.com/myriad-fleet/myriad/internal/hub/gears"
	"github.com/myriad-fleet/myriad/internal/hub/heartbeat"
	"github.com/myriad-fleet/myriad/internal/hub/index"
	"github.com/myriad-fleet/myriad/internal/hub/ledger"
	"github.com/myriad-fleet/myriad/internal/hub/region"
	"github.com/myriad-fleet/myriad/internal/hub/scheduling"
	"github.com/myriad-fleet/myriad/internal/hub/write"
	"github.com/myriad-fleet/myriad/internal/pki"
)

const (
	// Namespace of the hub itself.
	Namespace = v1alpha1.HubNamespace
	// leaseName of the leader election.
	leaseName = "myriad-hub"

	// defaultAgentLifetime of an agent's certificate; agents renew after two thirds.
	defaultAgentLifetime = 30 * 24 * time.Hour
	// defaultGateways is how many gateway instances of a region may read its orders.
	defaultGateways = 4

	// requestsPerSecond and burst bound the hub's own requests; the API server's priority levels
	// are what protects it.
	requestsPerSecond, burst = 500, 1000
)

// Options of Run.
type Options struct {
	// Config leads to the hub's API server, with an identity of the group myriad:hubs.
	Config *rest.Config
	// AgentAuthority signs the client certificates of agents.
	AgentAuthority *pki.Authority
	// AgentLifetime of an agent's certificate; 0 means 30 days.
	AgentLifetime time.Duration
	// Gateways per region, counted from 1, that may read its orders; 0 means 4.
	Gateways int
	// LeaderElectionIdentity names this process among those that want to lead; empty means the
	// host's name and the process id.
	LeaderElectionIdentity string
	// MetricsAddress (host:port) to serve Prometheus metrics and Go's profiles on, over plain HTTP: keep it off the
	// network. Empty serves none.
	MetricsAddress string
	// Clock that the controllers go by; nil means the real one.
	Clock clock.PassiveClock
	// Log takes what the controllers say; nil means slog.Default.
	Log *slog.Logger
}

// Run runs the controllers whenever this process leads, until the context ends. It returns an error
// when the lead is lost: the process should then end and be started again.
func Run(ctx context.Context, options Options) error {
	options, err := options.complete()
	if err != nil {
		return fmt.Errorf("run the hub: %w", err)
	}
	logger := logr.FromSlogHandler(options.Log.Handler())
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	manager, err := newManager(options, logger)
	if err != nil {
		return fmt.Errorf("run the hub: %w", err)
	}
	if err := index.Add(ctx, manager.GetFieldIndexer()); err != nil {
		return fmt.Errorf("run the hub: %w", err)
	}
	if err := addControllers(manager, options); err != nil {
		return fmt.Errorf("run the hub: %w", err)
	}
	if err := manager.Start(ctx); err != nil {
		return fmt.Errorf("run the hub: %w", err)
	}
	return nil
}

func (o Options) complete() (Options, error) {
	if o.Config == nil || o.AgentAuthority == nil {
		return o, errors.New("needs the address of its API server and the authority for agents")
	}
	if o.AgentLifetime == 0 {
		o.AgentLifetime = defaultAgentLifetime
	}
	if o.Gateways == 0 {
		o.Gateways = defaultGateways
	}
	if o.LeaderElectionIdentity == "" {
		host, err := os.Hostname()
		if err != nil {
			return o, fmt.Errorf("name this process: %w", err)
		}
		o.LeaderElectionIdentity = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	if o.MetricsAddress == "" {
		o.MetricsAddress = "0"
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Config = rest.CopyConfig(o.Config)
	o.Config.QPS, o.Config.Burst = requestsPerSecond, burst
	return o, nil
}

func newManager(options Options, logger logr.Logger) (ctrl.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	leases, err := coordinationclient.NewForConfig(options.Config)
	if err != nil {
		return nil, fmt.Errorf("connect for leader election: %w", err)
	}
	manager, err := ctrl.NewManager(options.Config, ctrl.Options{
		Scheme:                        scheme,
		Logger:                        logger,
		Cache:                         cacheOptions(),
		Metrics:                       metricsserver.Options{BindAddress: options.MetricsAddress, ExtraHandlers: profiles()},
		Controller:                    config.Controller{SkipNameValidation: new(true)},
		LeaderElection:                true,
		LeaderElectionReleaseOnCancel: true,
		LeaderElectionResourceLockInterface: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: Namespace, Name: leaseName},
			Client:     leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: options.LeaderElectionIdentity},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	return manager, nil
}

// profiles of this process, as 'go tool pprof' reads them.
func profiles() map[string]http.Handler {
	return map[string]http.Handler{
		"/debug/pprof/":        http.HandlerFunc(pprof.Index),
		"/debug/pprof/profile": http.HandlerFunc(pprof.Profile),
		"/debug/pprof/trace":   http.HandlerFunc(pprof.Trace),
	}
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register kinds: %w", err)
		}
	}
	return scheme, nil
}

// cacheOptions keep in memory what the controllers read often, and no more of it than they read.
func cacheOptions() cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&coordinationv1.Lease{}:  {Field: fields.OneTermEqualSelector("metadata.name", v1alpha1.AgentLease)},
			&v1alpha1.ControlPlane{}: {Transform: stripOrder},
		},
	}
}

// stripOrder drops what no controller of the hub reads: the sealed identity is most of an order.
func stripOrder(object any) (any, error) {
	if order, ok := object.(*v1alpha1.ControlPlane); ok {
		order.ManagedFields = nil
		order.Status.Escrow = ""
		order.Status.Components = nil
	}
	return object, nil
}

func addControllers(manager ctrl.Manager, options Options) error {
	store := ledger.NewStore(manager.GetClient(), manager.GetAPIReader())
	written := &write.Versions{} // of Clusters, which three controllers write
	for _, add := range []func() error{
		func() error { return cell.Add(manager, options.Gateways) },
		func() error { return region.Add(manager, options.Gateways) },
		func() error { return heartbeat.Add(manager, options.Clock) },
		func() error {
			return certificate.Add(manager, options.Clock, options.AgentAuthority, options.AgentLifetime)
		},
		func() error { return gearbox.Add(manager, options.Clock) },
		func() error { return scheduling.Add(manager, options.Clock, store, written) },
		func() error { return gears.Add(manager, options.Clock, store, written) },
		func() error { return cluster.Add(manager, options.Clock, controlplane.LatestRevision(), written) },
		func() error { return epoch.Add(manager) },
		func() error { return credential.Add(manager, options.Clock) },
	} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}
