package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/pki"
	"github.com/myriad-fleet/myriad/test/bench/byhand"
)

const (
	// readyDeadline bounds one control plane's start; a hundred times what it takes alone.
	readyDeadline = 5 * time.Minute
	// dialDeadline bounds one connection to a control plane on this machine.
	dialDeadline = 250 * time.Millisecond
)

// subject is a control plane to be measured: a guest of the fleet or one by hand.
type subject interface {
	// start the control plane and return the access of an administrator once it has one.
	start(ctx context.Context) (*rest.Config, error)
	// stop and remove everything of it.
	stop(ctx context.Context) error
}

// inProcesses is a control plane that runs as processes of this machine.
type inProcesses interface {
	subject
	// pids of its processes.
	pids() ([]int, error)
}

// measure returns the seconds from the start of a control plane until it is ready: /readyz says ok
// and the default ServiceAccount exists, so that pods could be created.
func measure(ctx context.Context, s subject, poll time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, readyDeadline)
	defer cancel()
	begun := time.Now()
	config, err := s.start(ctx)
	if err != nil {
		return 0, err
	}
	// Without HTTP/2 a request that the gateway cannot serve yet fails at once.
	config.Timeout = time.Second
	// Where nothing answers yet, the kernel would try again after a second only.
	config.Dial = (&net.Dialer{Timeout: dialDeadline}).DialContext
	requests, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0, fmt.Errorf("make a client of the control plane: %w", err)
	}
	defer requests.CloseIdleConnections()
	for _, path := range []string{"/readyz", "/api/v1/namespaces/default/serviceaccounts/default"} {
		err := wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
			return ok(ctx, requests, config.Host+path), nil
		})
		if err != nil {
			return 0, fmt.Errorf("waiting until %s answers: %w", config.Host+path, err)
		}
	}
	return time.Since(begun).Seconds(), nil
}

func ok(ctx context.Context, requests *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := requests.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// manual is a control plane by hand.
type manual struct{ *byhand.ControlPlane }

func (b *bench) manual(number int, poll time.Duration) (inProcesses, error) {
	c, err := byhand.Prepare(byhand.Options{
		Dir: fmt.Sprintf("%s/%d", b.scratch, number), Number: number,
		Kubernetes: b.kubernetes, Etcd: b.etcd, Programs: b.programs, Poll: poll,
	})
	return manual{c}, err
}

func (m manual) start(ctx context.Context) (*rest.Config, error) { return m.Config(), m.Start(ctx) }
func (m manual) pids() ([]int, error)                            { return m.PIDs(), nil }
func (m manual) stop(context.Context) error                      { return m.Stop() }

// guest of the fleet.
type guest struct {
	bench   *bench
	cluster *v1alpha1.Cluster
}

// guest makes the number'th guest, which is not created before its start. Regions take turns, so that
// all cells are used; with a lab, all guests are in there.
func (b *bench) guest(number int) *guest {
	regions := []string{"cn-hangzhou", "cn-hangzhou", "eu-frankfurt"}
	if b.lab != nil {
		regions = []string{labRegion}
	}
	return &guest{bench: b, cluster: &v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "bench-" + strconv.Itoa(number)},
		Spec:       v1alpha1.ClusterSpec{Region: regions[number%len(regions)], Template: "standard", Availability: v1alpha1.Single},
	}}
}

func (g *guest) start(ctx context.Context) (*rest.Config, error) {
	g.cluster.ResourceVersion = ""
	if err := g.bench.hub.Create(ctx, g.cluster); err != nil {
		return nil, fmt.Errorf("create cluster %s: %w", g.cluster.Name, err)
	}
	request, key, err := pki.NewRequest("bench")
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	credential := &v1alpha1.ClusterCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: g.cluster.Namespace, GenerateName: g.cluster.Name + "-"},
		Spec: v1alpha1.ClusterCredentialSpec{
			Cluster: g.cluster.Name, Role: v1alpha1.CredentialAdmin, User: "bench", Request: string(request), ExpirationSeconds: 3600,
		},
	}
	if err := g.bench.hub.Create(ctx, credential); err != nil {
		return nil, fmt.Errorf("ask for a certificate for %s: %w", g.cluster.Name, err)
	}
	if err := g.awaitCertificate(ctx, credential); err != nil {
		return nil, err
	}
	endpoint := credential.Status.Endpoint
	return &rest.Config{
		Host: "https://" + net.JoinHostPort(endpoint.Address, strconv.Itoa(int(endpoint.Port))),
		TLSClientConfig: rest.TLSClientConfig{
			ServerName: endpoint.ServerName,
			CAData:     []byte(credential.Status.CABundle),
			CertData:   []byte(credential.Status.Certificate),
			KeyData:    key,
		},
	}, nil
}

// awaitCertificate watches instead of polling: the hub must not be busy with the benchmark.
func (g *guest) awaitCertificate(ctx context.Context, credential *v1alpha1.ClusterCredential) error {
	watcher, err := g.bench.hub.Watch(ctx, &v1alpha1.ClusterCredentialList{}, client.InNamespace(credential.Namespace), client.MatchingFields{"metadata.name": credential.Name})
	if err != nil {
		return fmt.Errorf("wait for the certificate for %s: %w", g.cluster.Name, err)
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if seen, ok := event.Object.(*v1alpha1.ClusterCredential); ok && seen.Status.Certificate != "" && seen.Status.Endpoint != nil {
			seen.DeepCopyInto(credential)
			return nil
		}
	}
	return fmt.Errorf("wait for the certificate for %s: %w", g.cluster.Name, context.Cause(ctx))
}

// read what the hub knows of the guest.
func (g *guest) read(ctx context.Context) error {
	if err := g.bench.hub.Get(ctx, client.ObjectKeyFromObject(g.cluster), g.cluster); err != nil {
		return fmt.Errorf("read cluster %s: %w", g.cluster.Name, err)
	}
	return nil
}

func (g *guest) pids() ([]int, error) {
	if err := g.read(context.Background()); err != nil {
		return nil, err
	}
	processes, err := g.bench.fleet.PIDs("cells/" + g.cluster.Status.Cell + "/runtime/" + g.cluster.Status.ID + "/")
	var pids []int
	for _, pid := range processes {
		pids = append(pids, pid)
	}
	return pids, err
}

func (g *guest) stop(ctx context.Context) error {
	if err := client.IgnoreNotFound(g.bench.hub.Delete(ctx, g.cluster)); err != nil {
		return fmt.Errorf("delete cluster %s: %w", g.cluster.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, readyDeadline)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := g.bench.hub.Get(ctx, client.ObjectKeyFromObject(g.cluster), &v1alpha1.Cluster{})
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	if err != nil {
		return fmt.Errorf("wait until cluster %s is gone: %w", g.cluster.Name, err)
	}
	return nil
}
