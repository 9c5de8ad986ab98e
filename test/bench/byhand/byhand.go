// Package byhand runs a control plane as a person would by hand, without agent, supervisor or gateway.
// Benchmarks compare the fleet with it. ControlPlane is four processes of this machine: the same
// programs with the same flags and files as a guest of the fleet, started one after the other. Pods are
// the same objects as those of a guest in a Kubernetes cluster, applied all at once.
package byhand

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/rest"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/controlplane"
	"github.com/myriad-fleet/myriad/internal/pki"
)

const zone = "a"

// Programs finds programs of the distribution.
type Programs interface {
	Path(program, version string) (string, error)
}

// Options of a control plane.
type Options struct {
	// Dir that everything is written to; made when it is missing.
	Dir string
	// Number of the control plane, 0 to 99: it gets the addresses 127.0.(100+Number).1 to .4, which no
	// fleet uses.
	Number int
	// Kubernetes and Etcd are the versions to run, such as v1.36.3 and v3.6.16.
	Kubernetes, Etcd string
	Programs         Programs
	// Poll is the time between two looks at a component that is waited for.
	Poll time.Duration
}

// ControlPlane of one cluster, as processes of this program.
type ControlPlane struct {
	options  Options
	order    v1alpha1.ControlPlaneSpec
	manifest controlplane.Manifest
	identity pki.Identity
	config   *rest.Config

	mu        sync.Mutex
	processes []*exec.Cmd
	waits     sync.WaitGroup
}

// Prepare makes the identity and every file of a control plane, so that starting it is only starting
// processes.
func Prepare(options Options) (*ControlPlane, error) {
	id := fmt.Sprintf("byhand%04d", options.Number)
	identity, err := pki.NewIdentity(id, time.Now())
	if err != nil {
		return nil, fmt.Errorf("control plane %d: %w", options.Number, err)
	}
	c := &ControlPlane{options: options, identity: identity}
	if err := c.render(id); err != nil {
		return nil, fmt.Errorf("control plane %d: %w", options.Number, err)
	}
	for _, component := range c.manifest.Components {
		if err := c.write(component); err != nil {
			return nil, fmt.Errorf("control plane %d: %w", options.Number, err)
		}
	}
	if c.config, err = admin(identity, c.host(controlplane.APIServer)); err != nil {
		return nil, fmt.Errorf("control plane %d: %w", options.Number, err)
	}
	return c, nil
}

// Config of an administrator who talks to the API server directly.
func (c *ControlPlane) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Identity that the control plane's certificates come from.
func (c *ControlPlane) Identity() pki.Identity { return c.identity }

// Order that an agent would render the control plane from.
func (c *ControlPlane) Order() *v1alpha1.ControlPlaneSpec { return &c.order }

// Hosts are the addresses of its components by instance.
func (c *ControlPlane) Hosts() map[string]string {
	hosts := map[string]string{}
	for _, instance := range controlplane.Instances(&c.order, controlplane.Guest) {
		hosts[instance.Name] = c.host(instance.Kind)
	}
	return hosts
}

func (c *ControlPlane) host(kind controlplane.Kind) string {
	last := map[controlplane.Kind]int{controlplane.Etcd: 1, controlplane.APIServer: 2, controlplane.ControllerManager: 3, controlplane.Scheduler: 4}
	return fmt.Sprintf("127.0.%d.%d", 100+c.options.Number, last[kind])
}

// render resolves the manifest that an agent would render for a Single guest.
func (c *ControlPlane) render(id string) error {
	size := v1alpha1.ComponentSize{CPU: resource.MustParse("20m"), Memory: resource.MustParse("208Mi")}
	in := controlplane.Input{Profile: controlplane.Guest, Order: v1alpha1.ControlPlaneSpec{
		ID: id, Version: c.options.Kubernetes, EtcdVersion: c.options.Etcd,
		Availability: v1alpha1.Single, Zones: []string{zone},
		Network:        v1alpha1.ClusterNetwork{PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.96.0.0/16"},
		Endpoint:       v1alpha1.GuestEndpoint{ServerName: id + ".byhand.internal", Address: c.host(controlplane.APIServer), Port: 6443, PlainPort: 6443},
		Size:           v1alpha1.ControlPlaneSize{Etcd: size, APIServer: size, ControllerManager: size, Scheduler: size},
		RenderRevision: controlplane.LatestRevision(), Epoch: 1,
	}}
	c.order = in.Order
	in.Hosts = c.Hosts()
	manifest, err := controlplane.Render(in)
	if err != nil {
		return err
	}
	c.manifest, err = resolve(manifest, c.identity)
	return err
}

func (c *ControlPlane) configDir(component string) string {
	return filepath.Join(c.options.Dir, component, "config")
}

// expand puts the directories of a component in place of the manifest's variables.
func (c *ControlPlane) expand(component, text string) string {
	return strings.NewReplacer(
		controlplane.ConfigDir, c.configDir(component),
		controlplane.DataDir, filepath.Join(c.options.Dir, component, "data"),
	).Replace(text)
}

func (c *ControlPlane) write(component controlplane.Component) error {
	if err := os.MkdirAll(filepath.Join(c.options.Dir, component.Name, "data"), 0o700); err != nil {
		return err
	}
	for _, file := range component.Files {
		path := filepath.Join(c.configDir(component.Name), file.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(c.expand(component.Name, string(file.Content))), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Start starts etcd, then kube-apiserver once etcd is healthy, then the others once the API server is
// ready. It returns when all of them have been started.
func (c *ControlPlane) Start(ctx context.Context) error {
	for _, component := range c.manifest.Components {
		for _, name := range component.After {
			if err := c.waitReady(ctx, name); err != nil {
				return err
			}
		}
		if err := c.exec(component); err != nil {
			return err
		}
	}
	return nil
}

func (c *ControlPlane) exec(component controlplane.Component) error {
	path, err := c.options.Programs.Path(component.Program, component.Version)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(c.options.Dir, component.Name, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	command := exec.Command(path)
	for _, argument := range component.Args {
		command.Args = append(command.Args, c.expand(component.Name, argument))
	}
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.options.Dir}, component.Env...)
	command.Stdout, command.Stderr = log, log
	// Whatever happens to the benchmark, its processes end with it.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", component.Name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes = append(c.processes, command)
	c.waits.Go(func() { _ = command.Wait() }) // how it ended shows in its log
	return nil
}

// PIDs of the processes that were started.
func (c *ControlPlane) PIDs() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	var pids []int
	for _, command := range c.processes {
		pids = append(pids, command.Process.Pid)
	}
	return pids
}

// Stop kills all processes and removes the directory: nobody needs the data.
func (c *ControlPlane) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, command := range c.processes {
		_ = command.Process.Kill() // fails when it has ended already
	}
	c.waits.Wait()
	c.processes = nil
	return os.RemoveAll(c.options.Dir)
}

// component of the manifest by name.
func (c *ControlPlane) component(name string) (controlplane.Component, error) {
	for _, component := range c.manifest.Components {
		if component.Name == name {
			return component, nil
		}
	}
	return controlplane.Component{}, errors.New("no component " + name)
}
