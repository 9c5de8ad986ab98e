package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/load"
	"github.com/myriad-fleet/myriad/internal/runtime"
)

const (
	// mostZones that a guest spans (ControlPlaneSpec.Zones).
	mostZones = 3
	// mostBytes of an API server's page, and of a member's: idle ones of v1.36 and etcd v3.6 have 2 MB and
	// 170 kB, and an API server's grows with its resources, to 20 MB with hundreds of custom ones.
	mostBytes, mostMemberBytes = 64 << 20, 8 << 20
)

// target is an instance that runs.
type target struct {
	controlplane.Instance
	host string
}

// targets are the instances of a guest that run and have pages, and what the runtime says of all.
type targets struct {
	order    []target
	observed runtime.Observation
}

// targets of a guest. Those that do not run carry nothing. When the runtime cannot be asked, all are
// held to run.
func (s *Sampler) targets(ctx context.Context, id string, order *v1alpha1.ControlPlaneSpec, hosts map[string]string) targets {
	observed, err := s.Runtime.Observe(ctx, id)
	if err != nil {
		s.Log.Debug("it is not known which components of a guest run", "guest", id, "error", err)
	}
	all := targets{observed: observed}
	for _, instance := range controlplane.Instances(order, controlplane.Guest) {
		host := hosts[instance.Name]
		if host == "" || instance.Kind != controlplane.APIServer && instance.Kind != controlplane.Etcd {
			continue
		}
		component, known := observed.Component(instance.Name)
		if runs := component.State == runtime.Running; err != nil || known && runs {
			all.order = append(all.order, target{Instance: instance, host: host})
		}
	}
	return all
}

// read the pages of a guest at once, those of etcd members with every fourth sample and those that are not
// known. It returns nil when no API server answers: then the guest is down.
func (s *Sampler) read(ctx context.Context, g *guest, from targets) (taken *load.Sample, whole bool) {
	open, err := s.opener(g)
	if err != nil {
		s.Log.Debug("a guest's load cannot be read", "guest", g.id, "error", err)
		return nil, false
	}
	taken = &load.Sample{APIServers: map[string]*load.APIServer{}, Members: map[string]*load.Etcd{}}
	members := g.knownMembers()
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, t := range from.order {
		if known := members[t.Name]; known != nil {
			mu.Lock()
			taken.Members[t.Name] = known
			mu.Unlock()
			continue
		}
		all.Go(func() {
			server, member, err := s.readOne(ctx, open, t)
			if err != nil {
				s.Log.Debug("an instance's metrics cannot be read", "guest", g.id, "instance", t.Name, "error", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if t.Kind == controlplane.APIServer {
				taken.APIServers[t.Name] = server
			} else {
				taken.Members[t.Name] = member
			}
		})
	}
	all.Go(func() {
		usage := s.usage(ctx, g.id, from.observed)
		mu.Lock()
		defer mu.Unlock()
		taken.Usage = usage
	})
	all.Wait()
	taken.At = s.Clock.Now()
	g.members = taken.Members
	return complete(taken)
}

// knownMembers are the readings of etcd members that are good enough for the sample that begins.
func (g *guest) knownMembers() map[string]*load.Etcd {
	g.sampled++
	if (g.sampled-1)%membersEvery == 0 {
		return nil
	}
	return g.members
}

// complete tells whether all that runs has answered, and drops a sample without any API server.
func complete(taken *load.Sample) (_ *load.Sample, whole bool) {
	answered := 0
	whole = true
	for _, server := range taken.APIServers {
		whole = whole && server != nil
		if server != nil {
			answered++
		}
	}
	for _, member := range taken.Members {
		whole = whole && member != nil
	}
	if answered == 0 {
		return nil, whole
	}
	return taken, whole
}

func (s *Sampler) usage(ctx context.Context, id string, seen runtime.Observation) map[string]runtime.Usage {
	reader, ok := s.Runtime.(UsageReader)
	if !ok {
		return nil
	}
	usage, err := reader.Usage(ctx, id, seen)
	if err != nil {
		s.Log.Debug("it is not known what the components of a guest use", "guest", id, "error", err)
	}
	for name, one := range usage {
		if one.At.IsZero() {
			one.At = s.Clock.Now()
			usage[name] = one
		}
	}
	return usage
}

// opener of the pages of a guest's instances.
type opener func(ctx context.Context, t target) (io.ReadCloser, error)

func (s *Sampler) opener(g *guest) (opener, error) {
	if s.Pages != nil {
		return func(ctx context.Context, t target) (io.ReadCloser, error) { return s.Pages(ctx, g.id, t.Name) }, nil
	}
	access, err := s.accessTo(g)
	if err != nil {
		return nil, err
	}
	return access.open, nil
}

// readOne page.
func (s *Sampler) readOne(ctx context.Context, open opener, t target) (server *load.APIServer, member *load.Etcd, err error) {
	page, err := open(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	defer page.Close()
	if t.Kind == controlplane.Etcd {
		member, err = load.ReadEtcd(page)
		return nil, member, err
	}
	if server, err = load.ReadAPIServer(page); err != nil {
		return nil, nil, err
	}
	server.At = s.Clock.Now()
	return server, nil, nil
}

// open a page of a target.
func (a *access) open(ctx context.Context, t target) (io.ReadCloser, error) {
	if t.Kind == controlplane.Etcd {
		return fetch(ctx, a.members, t.host, controlplane.EtcdMetricsPort, mostMemberBytes)
	}
	return fetch(ctx, a.apiServers, t.host, controlplane.APIServerPort, mostBytes)
}

// fetch a page. Reading one that is longer than most fails.
func fetch(ctx context.Context, client *http.Client, host string, port int, most int64) (io.ReadCloser, error) {
	url := "https://" + net.JoinHostPort(host, strconv.Itoa(port)) + "/metrics"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("ask %s: %s", url, response.Status), response.Body.Close())
	}
	return http.MaxBytesReader(nil, response.Body, most), nil
}
